//! `apply`: shows what would change, asks, and makes the changes; or makes exactly those of a saved changeset.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum, ValueHint};
use tokio::time::Instant;

use super::approval::{self, AutoApprove};
use super::args::{ConnectionArgs, Format, OutputArgs, PlanArgs, ScopeArgs, parse_rate, parse_span};
use super::connect::{self, Connections};
use super::interrupt::Interrupt;
use super::planning::{self, Planned};
use super::{CliError, Exit, Session, identity, input, show};
use crate::apply::journal::{FORMAT_VERSION, Header, Journal, Question};
use crate::apply::{self, OnError, Options};
use crate::changeset::file::{Document, plan_digest};
use crate::changeset::{Changeset, Counts, check_limits, differences};
use crate::diagnostic::Sources;
use crate::event::{ChangeResult, Ending, Outcome};
use crate::model::Digest;
use crate::plan::Limits;
use crate::registry::{CallContext, Rate};
use crate::render::{self, Progress};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ecr-retag apply plans/release-cutover.yaml --sandbox
  ecr-retag apply cut.yaml --var candidate=1.8.0-rc.3 --auto-approve
  ecr-retag apply cut.json                 # a changeset that `plan --out` has saved; does not ask")]
pub(super) struct ApplyArgs {
    /// Plan files, a directory of them, `-` for standard input, or one saved changeset
    #[command(flatten)]
    plan: PlanArgs,
    /// Do not ask; `create` approves new tags only, `move` also moves, `all` everything
    #[arg(
        long,
        value_enum,
        value_name = "WHAT",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "all",
        help_heading = "Apply"
    )]
    auto_approve: Option<AutoApprove>,
    /// How many PutImage calls may be in flight at once
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1024), help_heading = "Apply")]
    parallelism: u16,
    /// PutImage calls per second for each account and region: `auto`, `max` or a number
    #[arg(long, value_name = "RATE", default_value = "auto", value_parser = parse_rate, help_heading = "Apply")]
    put_rate: Rate,
    /// What a failed or stale change means for the others
    #[arg(long, value_enum, value_name = "WHAT", default_value_t = OnErrorArg::Stop, help_heading = "Apply")]
    on_error: OnErrorArg,
    /// Write the journal here instead of under .ecr-retag/journals
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Apply")]
    journal: Option<PathBuf>,
    /// Refuse to change anything unless the plan has this digest
    #[arg(long, value_name = "DIGEST", help_heading = "Apply")]
    expect_digest: Option<Digest>,
    /// Refuse to change anything unless the plan is that of this saved changeset; says what differs
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "expect_digest", help_heading = "Apply")]
    expect_changeset: Option<PathBuf>,
    /// Make no new calls after this time, such as 90s or 10m
    #[arg(long, value_name = "SPAN", value_parser = parse_span, help_heading = "Apply")]
    max_duration: Option<Duration>,
    /// Do not read the tags back after they were written
    #[arg(long, help_heading = "Apply")]
    no_verify: bool,
    /// Allow so many new tags in this run, whatever `policy.max_creates` says
    #[arg(long, value_name = "N", help_heading = "Apply")]
    allow_creates: Option<u64>,
    /// Allow so many moves in this run, whatever `policy.max_moves` says
    #[arg(long, value_name = "N", help_heading = "Apply")]
    allow_moves: Option<u64>,
    /// Allow so many removals in this run, whatever `policy.max_removes` says
    #[arg(long, value_name = "N", help_heading = "Apply")]
    allow_removes: Option<u64>,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    scope: ScopeArgs,
    #[command(flatten)]
    connection: ConnectionArgs,
}

/// What a change that failed or was stale means for the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum OnErrorArg {
    /// Nothing further is written
    Stop,
    /// The others go on
    Continue,
}

pub(super) async fn run(session: &Session, args: &ApplyArgs) -> Result<Exit, CliError> {
    let interrupt = Interrupt::default();
    let session = &session.with_event_log(&args.output)?;
    match interrupt.watch(Box::pin(apply(session, args, &interrupt))).await {
        Ok(Err(_)) if interrupt.exit().is_some() => Ok(interrupt.exit().unwrap_or(Exit::Interrupted)),
        Ok(done) => done.inspect_err(|error| session.events.error(error, error.help().as_deref())),
        Err(exit) => Ok(exit),
    }
}

async fn apply(session: &Session, args: &ApplyArgs, interrupt: &Interrupt) -> Result<Exit, CliError> {
    let deadline = args.max_duration.map(|span| Instant::now() + span);
    let context = CallContext::new(session.environment.seed)
        .with_cancel(interrupt.token().clone())
        .with_deadline(deadline);
    if let [path] = args.plan.plans.as_slice()
        && !path.is_dir()
    {
        let text = input::read_text(path)?;
        if input::is_changeset(&text) {
            return Box::pin(apply_saved(session, args, interrupt, &context, path, &text)).await;
        }
        let plan = crate::plan::PlanInput {
            path: path.clone(),
            text,
        };
        return Box::pin(apply_plans(session, args, interrupt, &context, vec![plan])).await;
    }
    let plans = input::read_plans(&args.plan.plans)?;
    Box::pin(apply_plans(session, args, interrupt, &context, plans)).await
}

/// Carries out a saved changeset: no choice is left, so nothing is asked.
async fn apply_saved(
    session: &Session,
    args: &ApplyArgs,
    interrupt: &Interrupt,
    context: &CallContext,
    path: &Path,
    text: &str,
) -> Result<Exit, CliError> {
    let has_choices = !args.plan.variables.vars.is_empty()
        || !args.plan.variables.var_files.is_empty()
        || !args.scope.targets.is_empty()
        || !args.scope.excludes.is_empty();
    if has_choices {
        return Err(CliError::usage(
            "--var, --var-file, --target and --exclude do not go with a saved changeset",
            "plan again with these options and save the result with `plan --out`",
        ));
    }
    let (changeset, document) = show::parse_changeset(path, text)?;
    if document.errored {
        return Err(CliError::refused(
            format!("`{}` was planned with errors", path.display()),
            "mend the plan file and plan again",
        ));
    }
    let connections = identity::connect_saved(&changeset, args, &session.environment).await?;
    let pace = connections.puts_per_second();
    session.print_changeset_to_apply(&changeset, &Sources::default(), &args.output, pace)?;
    let saved = Saved {
        changeset,
        sources: Sources::default(),
        question: Question::default(),
    };
    let resume = format!("ecr-retag apply {}", path.display());
    if !saved.changeset.changes.is_empty() {
        identity::check(&saved.changeset, &connections, context).await?;
    }
    let exit = carry_out(session, args, interrupt, context, &connections, saved, &resume).await;
    connections.close()?;
    exit
}

async fn apply_plans(
    session: &Session,
    args: &ApplyArgs,
    interrupt: &Interrupt,
    context: &CallContext,
    plans: Vec<crate::plan::PlanInput>,
) -> Result<Exit, CliError> {
    let reads_stdin = plans.iter().any(|plan| plan.path == Path::new("-"));
    if args.auto_approve.is_none() && (reads_stdin || !session.environment.stdin_is_terminal) {
        return Err(approval::cannot_ask());
    }
    let loaded = input::load(plans, &args.plan.variables, &session.environment)?;
    let Some(checked) = session.checked(loaded) else {
        return Ok(Exit::Error);
    };
    let connections = connect::connect(
        &checked.plan.registries,
        &args.connection,
        args.put_rate,
        &session.environment,
    )
    .await?;
    let given = (&args.scope, &args.output);
    let mut planned = planning::plan(session, &checked, &connections, context, given).await?;
    if let Some(approve) = args.auto_approve {
        planned.changeset.approve(approve.into());
    }
    session.print_messages(&planned, &checked.sources);
    let pace = connections.puts_per_second();
    session.print_changeset_to_apply(&planned.changeset, &checked.sources, &args.output, pace)?;
    if planned.has_errors() {
        return Ok(Exit::Error);
    }
    if planned.has_refusals() {
        return Ok(Exit::Refused);
    }
    let is_partial = !planned.failures.is_empty();
    let question = question(args, &planned, &connections);
    let changeset = planned.changeset;
    refuse_unexpected(session, args, &changeset)?;
    refuse_beyond_limits(args, &changeset)?;
    if args.auto_approve.is_none() && !changeset.changes.is_empty() {
        let prompt = render::prompt_text(&changeset.registries);
        if !approval::ask(&session.printer, &prompt, interrupt.token()).await? {
            session.printer.err("\nApply cancelled.\n");
            return Ok(interrupt.exit().unwrap_or(Exit::Declined));
        }
    }
    let saved = Saved {
        changeset,
        sources: checked.sources,
        question,
    };
    let resume = "run the same command again";
    let exit = carry_out(session, args, interrupt, context, &connections, saved, resume).await;
    connections.close()?;
    // What was left out makes even a perfect run incomplete.
    exit.map(|exit| {
        if is_partial && exit == Exit::Done {
            Exit::Incomplete
        } else {
            exit
        }
    })
}

/// A changeset that is about to be carried out, and what its journal says of it.
struct Saved {
    changeset: Changeset,
    sources: Sources,
    question: Question,
}

fn refuse_unexpected(session: &Session, args: &ApplyArgs, changeset: &Changeset) -> Result<(), CliError> {
    let reviewed = match &args.expect_changeset {
        Some(path) => Some(show::parse_changeset(path, &input::read_text(path)?)?.0),
        None => None,
    };
    let digest = plan_digest(changeset);
    let expected = reviewed.as_ref().map(plan_digest).or(args.expect_digest);
    let Some(expected) = expected.filter(|expected| *expected != digest && !changeset.changes.is_empty())
    else {
        return Ok(());
    };
    if let Some(reviewed) = &reviewed {
        let differences = differences(reviewed, changeset);
        session
            .printer
            .err(&render::differences_text(&differences, changeset));
    }
    Err(CliError::refused(
        format!("the plan has the digest {digest}, {expected} was expected"),
        "the registry or the plan file has changed since it was reviewed: review the plan again",
    ))
}

fn refuse_beyond_limits(args: &ApplyArgs, changeset: &Changeset) -> Result<(), CliError> {
    let Limits {
        creates,
        moves,
        removes,
    } = changeset.limits;
    let lifted = |limit: Option<u64>, allowed: Option<u64>| limit.map(|limit| allowed.unwrap_or(limit));
    let limits = Limits {
        creates: lifted(creates, args.allow_creates),
        moves: lifted(moves, args.allow_moves),
        removes: lifted(removes, args.allow_removes),
    };
    let passed = check_limits(&limits, Counts::of(&changeset.changes));
    let Some(first) = passed.first() else {
        return Ok(());
    };
    let each = |passed: &crate::changeset::LimitPassed| {
        format!(
            "{} changes, `policy.{}` allows {}",
            passed.count, passed.key, passed.limit
        )
    };
    Err(CliError::refused(
        passed.iter().map(each).collect::<Vec<_>>().join("; "),
        format!(
            "raise `policy.{}`, or lift it for one run with `{} {}`",
            first.key, first.flag, first.count
        ),
    ))
}

async fn carry_out(
    session: &Session,
    args: &ApplyArgs,
    interrupt: &Interrupt,
    context: &CallContext,
    connections: &Connections,
    saved: Saved,
    resume: &str,
) -> Result<Exit, CliError> {
    refuse_unexpected(session, args, &saved.changeset)?;
    refuse_beyond_limits(args, &saved.changeset)?;
    if saved.changeset.changes.is_empty() {
        session.events.recap(&saved.changeset, &Outcome::nothing());
        return Ok(Exit::Done);
    }
    let journal = open_journal(session, args, &saved)?;
    let options = Options {
        parallelism: usize::from(args.parallelism),
        on_error: match args.on_error {
            OnErrorArg::Stop => OnError::Stop,
            OnErrorArg::Continue => OnError::Continue,
        },
        verifies: !args.no_verify,
    };
    let progress = Progress::new();
    let events = session.events.listener(&saved.changeset, &progress);
    let registries = &connections.registries;
    let work = apply::apply(&saved.changeset, registries, &options, context, &events, &journal);
    let outcome = if args.output.format() == Format::Json {
        let tell = |status| session.events.progress(&status);
        progress.during_with(work, tell).await
    } else {
        progress.during(&session.printer, work).await
    };
    let recap = journal.recap(&outcome.results, &outcome.ending);
    let path = journal.path().map(Path::to_owned).unwrap_or_default();
    recap.map_err(|source| CliError::Write { path, source })?;
    session.print_outcome(&saved.changeset, &outcome, &args.output, resume);
    Ok(exit_of(&outcome, interrupt))
}

fn open_journal(session: &Session, args: &ApplyArgs, saved: &Saved) -> Result<Journal, CliError> {
    let now = session.environment.now();
    let document = Document::new(&saved.changeset, &saved.sources);
    let path = args.journal.clone().unwrap_or_else(|| {
        let digest = plan_digest(&saved.changeset).short();
        let short: String = digest.chars().take(8).collect();
        Path::new(".ecr-retag/journals").join(format!("{}-{short}.jsonl", now.strftime("%Y%m%dT%H%M%S%3fZ")))
    });
    let header = Header {
        format_version: FORMAT_VERSION.to_owned(),
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        time: now.to_string(),
        question: saved.question.clone(),
        changeset: document,
    };
    let journal =
        Journal::create(&path, header, Arc::clone(&session.environment.clock)).map_err(|source| {
            if source.kind() == std::io::ErrorKind::AlreadyExists {
                CliError::refused(
                    format!(
                        "`{}` exists already, and a journal is never overwritten",
                        path.display()
                    ),
                    "choose another file with `--journal`",
                )
            } else {
                CliError::Write {
                    path: path.clone(),
                    source,
                }
            }
        })?;
    session.printer.note(&format!("Journal: {}\n", path.display()));
    Ok(journal)
}

fn question(args: &ApplyArgs, planned: &Planned, connections: &Connections) -> Question {
    let changeset = &planned.changeset;
    let endpoint = args.connection.endpoint_url.clone().unwrap_or_default();
    Question {
        sources: changeset
            .sources
            .iter()
            .map(|s| (s.path.clone(), s.digest.to_string()))
            .collect(),
        variables: changeset.variables.clone().into_iter().collect(),
        targets: args.scope.targets.clone(),
        excludes: args.scope.excludes.clone(),
        registries: changeset
            .registries
            .iter()
            .filter(|registry| connections.registries.contains_key(&registry.key))
            .map(|r| {
                (
                    r.key.to_string(),
                    r.account.to_string(),
                    r.region.to_string(),
                    endpoint.clone(),
                )
            })
            .collect(),
    }
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
        Ending::OutOfTime | Ending::Hopeless(_) | Ending::Interrupted
    );
    if is_stale && !has_failed && !was_cut_short {
        Exit::Stale
    } else {
        Exit::Incomplete
    }
}

impl ApplyArgs {
    pub(super) fn connection(&self) -> &ConnectionArgs {
        &self.connection
    }

    pub(super) fn put_rate(&self) -> Rate {
        self.put_rate
    }
}
