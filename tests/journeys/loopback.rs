//! A sandbox in this process that the real program reaches over loopback.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use ecr_retag::apply::journal::Record;
use ecr_retag::sandbox::serve::serve;
use ecr_retag::sandbox::{self, Faults, Quotas, Sandbox, State, seed};
use jiff::Timestamp;
use tokio::time::sleep;

use crate::support::{owner, tags};

/// Copies every tag of `shop/api` whose name begins with `t`.
pub(crate) const PLAN: &str =
    "version: 1\nrules:\n- { name: all, repositories: shop/api, from: 't*', to: 'n-${tag}' }\n";

/// The sandbox, and a folder for the program to run in, with `plan.yaml`.
pub(crate) struct Loopback {
    pub(crate) sandbox: Sandbox,
    port: u16,
    folder: tempfile::TempDir,
}

impl Loopback {
    /// Serves one repository with so many tags to copy.
    pub(crate) async fn start(tags: usize) -> Self {
        let mut yaml = "repositories:\n- names: [shop/api]\n  images:\n".to_owned();
        for tag in 0..tags {
            writeln!(yaml, "  - {{ name: i{tag}, tags: [t{tag}] }}").unwrap();
        }
        Self::with(&yaml, PLAN).await
    }

    /// Serves these repositories, without quotas, and has this plan file.
    pub(crate) async fn with(repositories: &str, plan: &str) -> Self {
        let mut state = State::new();
        seed::plant(&seed::parse(repositories).unwrap(), &owner(), &mut state).unwrap();
        #[expect(clippy::disallowed_methods, reason = "the program signs by the real time")]
        let sandbox = Sandbox::new(state, Faults::none(), Arc::new(Timestamp::now));
        sandbox.set_quotas(Quotas::none());
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let served = sandbox.clone();
        tokio::spawn(async move {
            let on_ready = |address: std::net::SocketAddr| sender.send(address.port()).unwrap();
            serve(served, 0, on_ready, std::future::pending()).await
        });
        let loopback = Self {
            sandbox,
            port: receiver.await.unwrap(),
            folder: tempfile::tempdir().unwrap(),
        };
        loopback.file("plan.yaml", plan);
        loopback
    }

    /// Writes a file where the program runs.
    pub(crate) fn file(&self, name: &str, text: &str) {
        let mut file = std::fs::File::create(self.folder.path().join(name)).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    /// The program with these arguments, on this sandbox.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ecr-retag"));
        command
            .args(arguments)
            .args(["--endpoint-url", &format!("http://127.0.0.1:{}", self.port)])
            .current_dir(self.folder.path())
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .env("AWS_REGION", sandbox::DEFAULT_REGION)
            .stdin(Stdio::null());
        command
    }

    /// Begins to apply the plan.
    pub(crate) fn apply(&self, more: &[&str]) -> Child {
        self.command(&["apply", "plan.yaml", "--auto-approve", "--quiet"])
            .args(more)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }

    /// Runs the program to its end, beside this process's own work.
    pub(crate) async fn run(&self, arguments: &str) -> Run {
        let mut command = self.command(&arguments.split_whitespace().collect::<Vec<_>>());
        let output = tokio::task::spawn_blocking(move || command.output());
        let Output {
            status,
            stdout,
            stderr,
        } = output.await.unwrap().unwrap();
        Run {
            code: status.code().unwrap(),
            out: String::from_utf8(stdout).unwrap(),
            err: String::from_utf8(stderr).unwrap(),
        }
    }

    /// How many tags were written.
    pub(crate) fn puts(&self) -> u64 {
        self.sandbox
            .tallies()
            .get("PutImage")
            .map_or(0, |tally| tally.took_effect)
    }

    /// Waits until so many tags were written.
    pub(crate) async fn until_written(&self, puts: u64) {
        while self.puts() < puts {
            sleep(Duration::from_millis(5)).await;
        }
    }

    pub(crate) fn journals(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.folder.path().join(".ecr-retag/journals"));
        let paths = entries.into_iter().flatten().map(|entry| entry.unwrap().path());
        paths.collect()
    }

    /// What the only journal tells.
    pub(crate) fn record(&self) -> Record {
        let [path] = self.journals().try_into().unwrap();
        Record::parse(&std::fs::read(path).unwrap()).unwrap()
    }

    /// The tags that were copied, each to its own image.
    pub(crate) fn copied(&self) -> BTreeSet<String> {
        let tags = tags(&self.sandbox, "shop/api");
        let copied = tags.iter().filter_map(|(tag, digest)| {
            let source = tag.as_str().strip_prefix("n-")?;
            assert_eq!(tags.get(source), Some(digest), "{tag}");
            Some(tag.to_string())
        });
        copied.collect()
    }
}

/// How a run of the program ended.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Waits for a process to end.
pub(crate) async fn ended(child: &mut Child) -> ExitStatus {
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        sleep(Duration::from_millis(5)).await;
    }
}
