//! What the journeys share: a sandbox in this process, the program on a sandbox over loopback, real data.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use aws_smithy_runtime_api::client::http::SharedHttpClient;
use ecr_retag::apply::{self, Journal, Options};
use ecr_retag::changeset::{Changeset, Scope};
use ecr_retag::diagnostic::Severity;
use ecr_retag::event::{ChangeResult, Events, Outcome};
use ecr_retag::model::{Digest, RegistryKey, RepositoryName, Tag};
use ecr_retag::plan::{self, Plan, PlanInput, VariableInputs};
use ecr_retag::registry::{self, CallContext, ConnectOptions, InProcess, Rate, Registry};
use ecr_retag::sandbox::{self, Caller, Clock, Faults, Quotas, Sandbox, State, seed};
use ecr_retag::survey::{Survey, survey};
use jiff::Timestamp;

/// A clock that stands still.
pub(crate) fn clock() -> Clock {
    Arc::new(|| "2026-11-01T12:00:00Z".parse().unwrap())
}

pub(crate) fn now() -> Timestamp {
    clock()()
}

pub(crate) fn owner() -> Caller {
    seed::default_owner().unwrap()
}

/// A sandbox without quotas.
pub(crate) fn sandbox(state: State) -> Sandbox {
    let sandbox = Sandbox::new(state, Faults::none(), clock());
    sandbox.set_quotas(Quotas::none());
    sandbox
}

/// The tags of a repository.
pub(crate) fn tags(sandbox: &Sandbox, repository: &str) -> BTreeMap<Tag, Digest> {
    let repository: RepositoryName = repository.parse().unwrap();
    sandbox.with_state(|state| state.tags(&owner(), &repository).into_iter().collect())
}

/// Checks a plan file that must be right.
pub(crate) fn checked(yaml: &str) -> Plan {
    let input = PlanInput {
        path: "plan.yaml".into(),
        text: yaml.to_owned(),
    };
    let loaded = plan::load(vec![input], &VariableInputs::default(), &|path: &Path| {
        fs::read_to_string(path)
    });
    loaded
        .plan
        .unwrap_or_else(|| panic!("{:#?}\n{yaml}", loaded.diagnostics))
}

/// The real SDK client on a sandbox in this process.
pub(crate) async fn registries(sandbox: &Sandbox, plan: &Plan) -> BTreeMap<RegistryKey, Registry> {
    registries_through(sandbox.http_client(), plan).await
}

/// The real SDK client on whatever answers.
pub(crate) async fn registries_through(
    http_client: SharedHttpClient,
    plan: &Plan,
) -> BTreeMap<RegistryKey, Registry> {
    let options = ConnectOptions {
        region: Some(sandbox::DEFAULT_REGION.parse().unwrap()),
        in_process: Some(InProcess {
            http_client,
            access_key_id: sandbox::DEFAULT_ACCOUNT.to_owned(),
            clock: clock(),
        }),
        put_rate: Rate::Unlimited,
        ..ConnectOptions::default()
    };
    let mut registries = BTreeMap::new();
    for declared in &plan.registries {
        registries.insert(
            declared.key.clone(),
            registry::connect(declared, &options).await.unwrap(),
        );
    }
    registries
}

/// Plans, and fails on any error or refusal.
pub(crate) async fn planned(plan: &Plan, registries: &BTreeMap<RegistryKey, Registry>) -> Changeset {
    planned_for(&Scope::default(), plan, registries).await
}

/// What is to be done about these addresses; fails if a plan has errors.
pub(crate) async fn planned_for(
    scope: &Scope,
    plan: &Plan,
    registries: &BTreeMap<RegistryKey, Registry>,
) -> Changeset {
    let context = CallContext::new(1);
    let wanted = Survey {
        registries,
        scope,
        context: &context,
        events: &Events::none(),
        now: now(),
        keeps_unchanged: false,
    };
    let surveyed = survey(plan, wanted).await;
    assert_eq!(surveyed.failures, []);
    let problems: Vec<_> = surveyed
        .changeset
        .diagnostics
        .iter()
        .filter(|d| d.severity != Severity::Warning)
        .collect();
    assert!(problems.is_empty(), "{problems:#?}");
    surveyed.changeset
}

/// Plans and applies, and fails unless every change succeeds.
pub(crate) async fn apply(sandbox: &Sandbox, yaml: &str) -> (Changeset, Outcome) {
    apply_through(sandbox.http_client(), yaml).await
}

/// Plans and applies on whatever answers, and fails unless every change succeeds.
pub(crate) async fn apply_through(http_client: SharedHttpClient, yaml: &str) -> (Changeset, Outcome) {
    let plan = checked(yaml);
    let registries = registries_through(http_client, &plan).await;
    let changeset = planned(&plan, &registries).await;
    let outcome = apply::apply(
        &changeset,
        &registries,
        &Options::default(),
        &CallContext::new(1),
        &Events::none(),
        &Journal::none(),
    )
    .await;
    assert!(
        outcome.results.iter().all(ChangeResult::is_success),
        "{:#?}",
        outcome.results
    );
    (changeset, outcome)
}

/// The folder of real data, or a visible skip.
pub(crate) fn real_data() -> Option<PathBuf> {
    #[expect(clippy::disallowed_methods, reason = "tests find the data by it")]
    let folder = std::env::var("ECR_RETAG_DATA").ok();
    if folder.is_none() {
        eprintln!("skipped: ECR_RETAG_DATA is not set");
    }
    folder.map(PathBuf::from)
}

/// `sandbox serve` in a process of its own; ends with this value.
pub(crate) struct Server {
    child: Child,
    pub(crate) folder: tempfile::TempDir,
    port: u16,
}

impl Server {
    /// Serves these seeds from memory, without quotas.
    pub(crate) fn start(seeds: &[&Path]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port_file = folder.path().join("port");
        let mut command = Command::new(env!("CARGO_BIN_EXE_ecr-retag"));
        command.args([
            "sandbox",
            "serve",
            "--in-memory",
            "--no-quota",
            "--port",
            "0",
            "--port-file",
        ]);
        command.arg(&port_file);
        for seed in seeds {
            command.arg("--seed").arg(seed);
        }
        let child = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let port = wait_for(|| fs::read_to_string(&port_file).ok()?.trim().parse().ok());
        Self { child, folder, port }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Runs the program against this server.
    pub(crate) fn run(&self, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_ecr-retag"))
            .args(args)
            .args(["--endpoint-url", &self.url()])
            .current_dir(self.folder.path())
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .env("AWS_REGION", sandbox::DEFAULT_REGION)
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// Writes a plan file and applies it; fails unless that succeeds. Gives what was printed.
    pub(crate) fn apply(&self, yaml: &str) -> String {
        let mut file = fs::File::create(self.folder.path().join("plan.yaml")).unwrap();
        file.write_all(yaml.as_bytes()).unwrap();
        let output = self.run(&["apply", "plan.yaml", "--auto-approve", "--put-rate", "5000"]);
        let shown = String::from_utf8(output.stdout).unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{:?}\n{shown}\n{errors}", output.status);
        shown
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// Asks again until there is an answer; a process that does not come up fails the test.
fn wait_for<T>(ask: impl Fn() -> Option<T>) -> T {
    for _ in 0..3_000 {
        if let Some(answer) = ask() {
            return answer;
        }
        #[expect(
            clippy::disallowed_methods,
            reason = "it is another process that is waited for"
        )]
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("the sandbox did not come up within 30 seconds");
}
