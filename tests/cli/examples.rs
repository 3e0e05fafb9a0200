//! Every plan file under `plans/`: planned on the built-in seed as its expected text says, applied, and planned again.
//!
//! In-process and on a clock that jumps, so that a pace of ten calls a second takes no time.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use ecr_retag::apply::{self, Journal, OnError, Options};
use ecr_retag::changeset::file::plan_digest;
use ecr_retag::changeset::{Changeset, Scope};
use ecr_retag::event::Events;
use ecr_retag::model::RegistryKey;
use ecr_retag::plan::{self, Plan, PlanInput, VariableInputs};
use ecr_retag::registry::{self, CallContext, ConnectOptions, InProcess, Registry};
use ecr_retag::render::{self, ChangesetView, Look};
use ecr_retag::sandbox::{Clock, DEFAULT_ACCOUNT, DEFAULT_REGION, Faults, Sandbox, seed};
use ecr_retag::survey::{Survey, survey};
use jiff::Timestamp;
use tokio::time::Instant;

use crate::documents::misfits;
use crate::support::{assert_current, of_repository};

/// The plan file that means something else the second time, and says so.
const SWAP: &str = "blue-green";

/// Expected texts list so many changes one by one; of more, the collapsed list is enough.
const LISTED_MAX: usize = 100;

/// The sandbox, connected, and the plan of one example.
struct Example {
    plan: Plan,
    sources: ecr_retag::diagnostic::Sources,
    registries: BTreeMap<RegistryKey, Registry>,
    context: CallContext,
    clock: Clock,
}

impl Example {
    async fn new(name: &str) -> Self {
        let began = Instant::now();
        let base: Timestamp = "2026-05-01T12:00:00Z".parse().unwrap();
        let clock: Clock = Arc::new(move || base + began.elapsed());
        let sandbox = Sandbox::new(seed::builtin(), Faults::none(), Arc::clone(&clock));
        let in_process = InProcess {
            http_client: sandbox.http_client(),
            access_key_id: DEFAULT_ACCOUNT.to_owned(),
            clock: Arc::clone(&clock),
        };
        let options = ConnectOptions {
            region: Some(DEFAULT_REGION.parse().unwrap()),
            in_process: Some(in_process),
            ..ConnectOptions::default()
        };
        let path = of_repository(&format!("plans/{name}.yaml"));
        let text = fs::read_to_string(&path).unwrap();
        let read = |path: &std::path::Path| fs::read_to_string(path);
        let loaded = plan::load(vec![PlanInput { path, text }], &VariableInputs::default(), &read);
        assert!(loaded.diagnostics.is_empty(), "{name}: {:#?}", loaded.diagnostics);
        let plan = loaded.plan.unwrap();
        let mut registries = BTreeMap::new();
        for registry in &plan.registries {
            let connected = registry::connect(registry, &options).await.unwrap();
            registries.insert(registry.key.clone(), connected);
        }
        Self {
            plan,
            sources: loaded.sources,
            registries,
            context: CallContext::new(1),
            clock,
        }
    }

    async fn changeset(&self) -> Changeset {
        let survey_with = Survey {
            registries: &self.registries,
            scope: &Scope::default(),
            context: &self.context,
            events: &Events::none(),
            now: (self.clock)(),
            keeps_unchanged: false,
        };
        let surveyed = survey(&self.plan, survey_with).await;
        assert!(surveyed.failures.is_empty(), "{:#?}", surveyed.failures);
        surveyed.changeset
    }

    async fn apply(&self, changeset: &Changeset) {
        let options = Options {
            parallelism: 16,
            on_error: OnError::Stop,
            verifies: true,
        };
        let (events, journal) = (Events::none(), Journal::none());
        let outcome = apply::apply(
            changeset,
            &self.registries,
            &options,
            &self.context,
            &events,
            &journal,
        );
        let outcome = outcome.await;
        assert!(
            outcome.results.iter().all(|result| result.is_success()),
            "{outcome:#?}"
        );
    }

    /// What `plan` prints: what there is to say, then the changeset.
    fn text(&self, changeset: &Changeset) -> String {
        let digest = plan_digest(changeset);
        let view = ChangesetView {
            look: Look::default(),
            is_full: changeset.changes.len() < LISTED_MAX,
            plan_digest: Some(&digest),
            puts_per_second: 9.0,
        };
        let messages = render::diagnostics_text(&changeset.diagnostics, &self.sources, Look::default());
        let messages = messages.replace(of_repository("").to_str().unwrap(), "");
        messages + &render::changeset_text(changeset, &view)
    }
}

fn names() -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(of_repository("plans"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    names.sort();
    names
}

#[tokio::test(start_paused = true)]
async fn every_example_does_what_is_written_beside_it() {
    for name in names() {
        let example = Example::new(&name).await;
        let changeset = example.changeset().await;
        assert!(!changeset.changes.is_empty(), "{name}");
        assert_current(
            &format!("tests/examples/expected/{name}.txt"),
            &example.text(&changeset),
        );
        example.apply(&changeset).await;
        tokio::time::advance(Duration::from_secs(60)).await;
        let again = example.changeset().await;
        if name == SWAP {
            assert_eq!(again.changes.len(), changeset.changes.len());
            let codes: Vec<&str> = again.diagnostics.iter().map(|d| d.code.as_str()).collect();
            assert!(codes.contains(&"plan/reads-what-it-moves"), "{codes:?}");
        } else {
            assert!(again.changes.is_empty(), "{name}: {:#?}", again.changes);
        }
    }
}

#[test]
fn every_example_fits_the_schema_and_tells_its_story() {
    for name in names() {
        let text = fs::read_to_string(of_repository(&format!("plans/{name}.yaml"))).unwrap();
        assert!(
            text.starts_with("# yaml-language-server: $schema=../schemas/plan.schema.json\n#\n"),
            "{name}"
        );
        assert!(text.contains(&format!("plans/{name}.yaml --sandbox")), "{name}");
        let document = ecr_retag::yaml::parse(&text).unwrap();
        assert_eq!(
            misfits("plan", &crate::support::to_json(&document)),
            Vec::<String>::new(),
            "{name}"
        );
    }
}
