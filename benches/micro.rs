//! What the pure parts cost, each by itself: time, and memory that is asked for.
//!
//! `cargo bench --bench micro` runs them all, `cargo bench --bench micro planning` some. The figures are for
//! comparing before with after on one machine; nothing fails by them.

#![expect(
    clippy::unwrap_used,
    reason = "what goes wrong in a measurement should end it"
)]

use std::fmt::Write as _;
use std::sync::Arc;

use aws_sdk_ecr::config::SharedHttpClient;
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use divan::counter::ItemsCount;
use divan::{AllocProfiler, Bencher};
use ecr_retag::changeset::file::{Document, plan_digest};
use ecr_retag::changeset::{Changeset, Draft, Input, RegistryIdentity, Scope, plan_repository};
use ecr_retag::diagnostic::Sources;
use ecr_retag::inventory::Inventory;
use ecr_retag::model::{Digest, RegistryKey, RepositoryName, Tag};
use ecr_retag::plan::{self, Plan, PlanInput, VariableInputs};
use ecr_retag::registry::{CallContext, ConnectOptions, InProcess, Operation, Registry, connect};
use ecr_retag::render::{ChangesetView, Look, PageView, changeset_html, changeset_markdown, changeset_text};
use jiff::Timestamp;
use tokio::runtime::Runtime;

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn main() {
    divan::main();
}

fn checked(yaml: &str) -> Plan {
    let input = PlanInput {
        path: "plan.yaml".into(),
        text: yaml.to_owned(),
    };
    let read_file = |path: &std::path::Path| std::fs::read_to_string(path);
    plan::load(vec![input], &VariableInputs::default(), &read_file)
        .plan
        .unwrap()
}

/// A plan of one rule over every repository.
fn rule(from: &str, to: &str) -> Plan {
    checked(&format!(
        "version: 1\nrules:\n- {{ name: r, repositories: '*', from: {from}, to: '{to}' }}\n"
    ))
}

/// A repository with versions `1.0.0`, `1.0.1` and so on, ten to a minor version.
fn inventory(repository: &str, tags: u32) -> Inventory {
    let tag = |n: u32| format!("1.{}.{}", n / 10, n % 10);
    let tags = (0..tags).map(|n| {
        let tag: Tag = tag(n).parse().unwrap();
        (tag, Digest::of(&n.to_be_bytes()))
    });
    Inventory {
        tags: tags.collect(),
        ..Inventory::empty(repository.parse().unwrap())
    }
}

fn input<'a>(plan: &'a Plan, inventory: &'a Inventory, scope: &'a Scope) -> Input<'a> {
    let registry = plan.registries.first().unwrap();
    Input {
        plan,
        registry: &registry.key,
        inventory,
        now: NOW,
        scope,
    }
}

/// A changeset of one new tag in each of so many repositories.
fn changeset(repositories: u32) -> Changeset {
    let (plan, scope) = (rule("1.0.0", "stable"), Scope::default());
    let mut draft = Draft::new(false, &Scope::default());
    for n in 0..repositories {
        let inventory = inventory(&format!("team/repository-{n}"), 1);
        let planned = plan_repository(&input(&plan, &inventory, &scope));
        draft.add(&plan, &RegistryKey::default(), &inventory.repository, planned);
    }
    let identity = RegistryIdentity {
        key: RegistryKey::default(),
        account: Some("123456789012".parse().unwrap()),
        region: Some("eu-west-1".parse().unwrap()),
        access: plan::Access::default(),
    };
    draft.finish(&plan, vec![identity], Some(NOW))
}

/// Reading and checking a plan file, by the number of its rules.
#[divan::bench(args = [1, 10, 1_000])]
fn parsing(bencher: Bencher, rules: u32) {
    let mut yaml = "version: 1\nrules:\n".to_owned();
    for n in 0..rules {
        writeln!(
            yaml,
            "- {{ name: rule {n}, repositories: 'team-{n}/*', from: {{ semver: '>=1.2' }}, to: ['${{major}}', stable] }}"
        )
        .unwrap();
    }
    bencher.counter(ItemsCount::new(rules)).bench(|| checked(&yaml));
}

/// Going through the 1,000 tags of a repository, by the kind of selector.
#[divan::bench(args = [
    "1.5.0",
    "'1.5*'",
    "'*.5'",
    "{ regex: '1\\.(?<minor>\\d+)\\.5' }",
    "{ semver: '>=1.50.0, <1.60.0' }",
])]
fn selecting(bencher: Bencher, from: &str) {
    let (plan, inventory) = (rule(from, "x-${tag}"), inventory("shop/api", 1_000));
    let rule = plan.rules.first().unwrap();
    bencher
        .counter(ItemsCount::new(inventory.tags.len()))
        .bench(|| rule.select(&inventory.repository, &inventory, NOW));
}

/// Planning a repository of so many tags that are all right already.
#[divan::bench(args = [100, 10_000])]
fn planning_nothing(bencher: Bencher, tags: u32) {
    let (plan, scope) = (rule("'*'", "${tag}"), Scope::default());
    let inventory = inventory("shop/api", tags);
    bencher
        .counter(ItemsCount::new(tags))
        .bench(|| plan_repository(&input(&plan, &inventory, &scope)));
}

/// Planning a repository of so many tags, each of which gets a copy.
#[divan::bench(args = [100, 10_000])]
fn planning_copies(bencher: Bencher, tags: u32) {
    let (plan, scope) = (rule("'1.*'", "x-${tag}"), Scope::default());
    let inventory = inventory("shop/api", tags);
    bencher
        .counter(ItemsCount::new(tags))
        .bench(|| plan_repository(&input(&plan, &inventory, &scope)));
}

/// Writing down a changeset of 10,000 changes, by format.
#[divan::bench(args = ["text", "text, full", "json", "markdown", "html", "digest"])]
fn rendering(bencher: Bencher, format: &str) {
    let (changeset, sources) = (changeset(10_000), Sources::default());
    let view = ChangesetView {
        look: Look::default(),
        is_full: format == "text, full",
        plan_digest: None,
        puts_per_second: 9.0,
    };
    let page = PageView {
        plan_digest: None,
        puts_per_second: 9.0,
    };
    bencher
        .counter(ItemsCount::new(changeset.changes.len()))
        .bench(|| match format {
            "json" => Document::new(&changeset, &sources).to_json(),
            "markdown" => changeset_markdown(&changeset, &sources, &page),
            "html" => changeset_html(&changeset, &sources, &page),
            "digest" => plan_digest(&changeset).to_string(),
            _ => changeset_text(&changeset, &view),
        });
}

/// Reading a saved changeset of 10,000 changes.
#[divan::bench]
fn reading_a_changeset(bencher: Bencher) {
    let changeset = changeset(10_000);
    let json = Document::new(&changeset, &Sources::default()).to_json();
    bencher
        .counter(ItemsCount::new(changeset.changes.len()))
        .bench(|| Document::parse(&json).unwrap().to_changeset().unwrap());
}

/// A call of `ListImages` through the SDK, its answer read, by the entries of the page; the network left out.
#[divan::bench(args = [0, 100, 1_000])]
fn wire(bencher: Bencher, entries: u32) {
    let entry = |n: u32| {
        let digest = Digest::of(&n.to_be_bytes());
        format!(r#"{{"imageTag":"build-{n}","imageDigest":"{digest}"}}"#)
    };
    let entries_text: Vec<String> = (0..entries).map(entry).collect();
    let body = format!(r#"{{"imageIds":[{}]}}"#, entries_text.join(","));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let registry = canned(&runtime, body);
    let (context, repository) = (CallContext::new(0), "shop/api".parse::<RepositoryName>().unwrap());
    bencher.counter(ItemsCount::new(entries)).bench(|| {
        let call = registry.call(Operation::ListImages, &context, |turn| {
            registry.list_images(turn, &repository, None)
        });
        runtime.block_on(call).unwrap().value.items
    });
}

/// Answers every call with the same body.
#[derive(Debug, Clone)]
struct Canned(Arc<str>);

impl HttpConnector for Canned {
    fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
        let body = SdkBody::from(self.0.as_ref());
        HttpConnectorFuture::ready(Ok(HttpResponse::new(200.try_into().unwrap(), body)))
    }
}

fn canned(runtime: &Runtime, body: String) -> Registry {
    let connector = SharedHttpConnector::new(Canned(body.into()));
    let http_client: SharedHttpClient = http_client_fn(move |_, _| connector.clone());
    let options = ConnectOptions {
        in_process: Some(InProcess {
            http_client,
            access_key_id: "AKIDEXAMPLE".to_owned(),
            clock: Arc::new(|| NOW),
        }),
        ..ConnectOptions::default()
    };
    runtime
        .block_on(connect(&plan::Registry::default(), &options))
        .unwrap()
}
