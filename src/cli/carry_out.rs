//! What `apply` and `rollback` have in common once it is decided what to do: options, journal, run, recap, exit code.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum, ValueHint};
use tokio::time::Instant;

use super::args::{ConnectionArgs, Format, OutputArgs, parse_rate, parse_span};
use super::connect::Connections;
use super::interrupt::Interrupt;
use super::{CliError, Exit, Session};
use crate::apply::journal::{FORMAT_VERSION, Header, Journal, Question};
use crate::apply::{self, OnError, Options};
use crate::changeset::Changeset;
use crate::changeset::file::Document;
use crate::diagnostic::Sources;
use crate::event::{ChangeResult, Ending, Outcome};
use crate::registry::{CallContext, Rate};
use crate::render::Progress;

/// Where journals are, unless `--journal` says otherwise.
pub(super) const JOURNALS: &str = ".ecr-retag/journals";

/// How a changeset is carried out.
#[derive(Debug, Clone, Args)]
pub(super) struct RunArgs {
    /// How many PutImage calls may be in flight at once
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1024), help_heading = "Apply")]
    parallelism: u16,
    /// PutImage calls per second for each account and region: `auto`, `max` or a number
    #[arg(long, value_name = "RATE", default_value = "auto", value_parser = parse_rate, help_heading = "Apply")]
    pub(super) put_rate: Rate,
    /// What a failed or stale change means for the others
    #[arg(long, value_enum, value_name = "WHAT", default_value_t = OnErrorArg::Stop, help_heading = "Apply")]
    on_error: OnErrorArg,
    /// Write the journal here instead of under .ecr-retag/journals
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Apply")]
    pub(super) journal: Option<PathBuf>,
    /// Make no new calls after this time, such as 90s or 10m
    #[arg(long, value_name = "SPAN", value_parser = parse_span, help_heading = "Apply")]
    max_duration: Option<Duration>,
    /// Do not read the tags back after they were written
    #[arg(long, help_heading = "Apply")]
    no_verify: bool,
}

/// What a change that failed or was stale means for the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum OnErrorArg {
    /// Nothing further is written
    Stop,
    /// The others go on
    Continue,
}

impl RunArgs {
    /// What all calls of the run share; its time begins now.
    pub(super) fn context(&self, session: &Session, interrupt: &Interrupt) -> CallContext {
        CallContext::new(session.environment.seed)
            .with_cancel(interrupt.token().clone())
            .with_deadline(self.max_duration.map(|span| Instant::now() + span))
    }

    fn options(&self) -> Options {
        Options {
            parallelism: usize::from(self.parallelism),
            on_error: match self.on_error {
                OnErrorArg::Stop => OnError::Stop,
                OnErrorArg::Continue => OnError::Continue,
            },
            verifies: !self.no_verify,
        }
    }
}

/// What a run has to do with, whatever its changeset.
#[derive(Clone, Copy)]
pub(super) struct Job<'a> {
    pub(super) session: &'a Session,
    pub(super) args: &'a RunArgs,
    pub(super) output: &'a OutputArgs,
    pub(super) interrupt: &'a Interrupt,
    pub(super) context: &'a CallContext,
    pub(super) connections: &'a Connections,
}

/// Carries a changeset out and prints its recap, with `carry_on`, the command that goes on with what is left.
pub(super) async fn carry_out(
    job: Job<'_>,
    changeset: &Changeset,
    journal: &Journal,
    carry_on: &str,
) -> Result<Exit, CliError> {
    let session = job.session;
    let path = journal.path().unwrap_or(Path::new(""));
    session.printer.note(&format!("Journal: {}\n", path.display()));
    let progress = Progress::new();
    let events = session.listener(changeset, &progress);
    let (registries, options) = (&job.connections.registries, job.args.options());
    let work = apply::apply(changeset, registries, &options, job.context, &events, journal);
    let outcome = if job.output.format() == Format::Json {
        let tell = |status| session.events.progress(&status);
        progress.during_with(work, tell).await
    } else {
        progress.during(&session.printer, work).await
    };
    let recap = journal.recap(&outcome.results, &outcome.ending);
    recap.map_err(|source| CliError::Write {
        path: path.to_owned(),
        source,
    })?;
    session.print_outcome(changeset, &outcome, job.output, carry_on);
    Ok(exit_of(&outcome, job.interrupt))
}

/// Begins a journal: in the file that was asked for, or in a new one of the default directory.
pub(super) fn begin_journal(
    session: &Session,
    args: &RunArgs,
    changeset: &Changeset,
    sources: &Sources,
    question: Question,
) -> Result<Journal, CliError> {
    let now = session.environment.now();
    let changeset = Document::new(changeset, sources);
    let path = args.journal.clone().unwrap_or_else(|| {
        let digest = changeset.plan_digest.trim_start_matches("sha256:");
        let short: String = digest.chars().take(8).collect();
        Path::new(JOURNALS).join(format!("{}-{short}.jsonl", now.strftime("%Y%m%dT%H%M%S%3fZ")))
    });
    let header = Header {
        format_version: FORMAT_VERSION.to_owned(),
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        time: now.to_string(),
        question,
        changeset,
    };
    Journal::create(&path, header, Arc::clone(&session.environment.clock)).map_err(|source| {
        if source.kind() == std::io::ErrorKind::AlreadyExists {
            CliError::refused(
                format!(
                    "`{}` exists already, and is not the unfinished journal of this command",
                    path.display()
                ),
                "choose another file with `--journal`",
            )
        } else {
            CliError::Write { path, source }
        }
    })
}

/// A signal beats 3, and 3 beats 4.
fn exit_of(outcome: &Outcome, interrupt: &Interrupt) -> Exit {
    if outcome.results.iter().all(ChangeResult::is_success) {
        return Exit::Done;
    }
    if outcome.ending == Ending::Interrupted
        && let Some(exit) = interrupt.exit()
    {
        return exit;
    }
    let has_failed = outcome
        .results
        .iter()
        .any(|result| matches!(result, ChangeResult::Failed(_)));
    let is_stale = outcome
        .results
        .iter()
        .any(|result| matches!(result, ChangeResult::Stale { .. }));
    let was_cut_short = matches!(
        outcome.ending,
        Ending::OutOfTime | Ending::Hopeless { .. } | Ending::Interrupted
    );
    if is_stale && !has_failed && !was_cut_short {
        Exit::Stale
    } else {
        Exit::Incomplete
    }
}

/// What a run is asked, so that the same command can carry on with it.
///
/// `sources` are the plan files, or what stands for them, each with its digest.
pub(super) fn question(
    session: &Session,
    sources: Vec<(String, String)>,
    connection: &ConnectionArgs,
    connections: &Connections,
) -> Question {
    let environment = &session.environment;
    let endpoint = match (&connection.sandbox, &connection.endpoint_url) {
        (Some(path), _) => format!("sandbox:{}", path.display()),
        (None, Some(url)) => url.clone(),
        (None, None) => environment
            .get("AWS_ENDPOINT_URL_ECR")
            .or_else(|| environment.get("AWS_ENDPOINT_URL"))
            .map(without_user)
            .unwrap_or_default(),
    };
    let registries = connections.registries.iter().map(|(key, registry)| {
        let account = registry.account().map(ToString::to_string).unwrap_or_default();
        (
            key.to_string(),
            account,
            registry.region().to_string(),
            endpoint.clone(),
        )
    });
    Question {
        sources,
        registries: registries.collect(),
        ..Question::default()
    }
}

/// A URL without user name and password, which a journal must not hold.
fn without_user(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
            format!("{scheme}://{host}")
        }
        None => url.to_owned(),
    }
}
