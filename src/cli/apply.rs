//! `apply`: shows what would change, asks, and makes the changes; or makes exactly those of a saved changeset.

use std::path::{Path, PathBuf};

use clap::{Args, ValueHint};

use super::approval::{self, AutoApprove};
use super::args::{ConnectionArgs, OutputArgs, PlanArgs, ScopeArgs};
use super::carry_out::{Job, RunArgs, begin_journal, carry_out, question};
use super::connect::{self, Connections};
use super::interrupt::Interrupt;
use super::planning::{self, Checked};
use super::resume::{self, Resumed};
use super::{CliError, Exit, Session, identity, input, show};
use crate::apply::journal::{Journal, Question};
use crate::changeset::file::plan_digest;
use crate::changeset::{Changeset, Counts, check_limits, differences};
use crate::diagnostic::Sources;
use crate::event::Outcome;
use crate::model::Digest;
use crate::plan::Limits;
use crate::registry::CallContext;
use crate::render;

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
    #[command(flatten)]
    run: RunArgs,
    /// Plan anew, also if an earlier run of this command did not come to its end
    #[arg(long, help_heading = "Apply")]
    no_resume: bool,
    /// Refuse to change anything unless the plan has this digest
    #[arg(long, value_name = "DIGEST", help_heading = "Apply")]
    expect_digest: Option<Digest>,
    /// Refuse to change anything unless the plan is that of this saved changeset; says what differs
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "expect_digest", help_heading = "Apply")]
    expect_changeset: Option<PathBuf>,
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
    let context = args.run.context(session, interrupt);
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
    let connections =
        identity::connect_saved(session, &changeset, &args.connection, args.run.put_rate).await?;
    let job = args.job(session, interrupt, context, &connections);
    let pace = connections.puts_per_second();
    session.print_changeset_to_apply(&changeset, &Sources::default(), &args.output, pace)?;
    if !changeset.changes.is_empty() {
        identity::check(&changeset, &connections, context).await?;
    }
    let asked = vec![(path.display().to_string(), document.plan_digest)];
    let question = question(session, asked, &args.connection, &connections);
    let resumed = args.find_unfinished(job, &question).await?;
    let task = Task {
        resumed: resumed.map(|resumed| (resumed.journal, plan_digest(&changeset))),
        changeset,
        sources: Sources::default(),
        question,
    };
    refuse_unexpected(session, args, &task)?;
    refuse_beyond_limits(args, &task.changeset)?;
    let exit = go(job, task, &format!("ecr-retag apply {}", path.display())).await;
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
        args.run.put_rate,
        &session.environment,
    )
    .await?;
    let job = args.job(session, interrupt, context, &connections);
    let question = args.question_of(job, &checked);
    let resumed = args.find_unfinished(job, &question).await?;
    let mut is_partial = false;
    let task = if let Some(Resumed { journal, record }) = resumed {
        Task {
            resumed: Some((journal, plan_digest(&record.changeset))),
            changeset: record.changeset,
            sources: checked.sources,
            question,
        }
    } else {
        let given = (&args.scope, &args.output);
        let planned = planning::plan(session, &checked, &connections, context, given).await?;
        session.print_messages(&planned, &checked.sources);
        if planned.has_errors() || planned.has_refusals() {
            let pace = connections.puts_per_second();
            session.print_changeset_to_apply(&planned.changeset, &checked.sources, &args.output, pace)?;
            return Ok(if planned.has_errors() {
                Exit::Error
            } else {
                Exit::Refused
            });
        }
        is_partial = !planned.failures.is_empty();
        Task {
            resumed: None,
            changeset: planned.changeset,
            // Accounts are known by now.
            question: args.question_of(job, &checked),
            sources: checked.sources,
        }
    };
    let exit = show_and_ask(args, job, task).await;
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

/// Shows what is about to be done, and does it if that is approved.
async fn show_and_ask(args: &ApplyArgs, job: Job<'_>, mut task: Task) -> Result<Exit, CliError> {
    if let Some(approve) = args.auto_approve {
        task.changeset.approve(approve.into());
    }
    let (session, changeset) = (job.session, &task.changeset);
    let pace = job.connections.puts_per_second();
    session.print_changeset_to_apply(changeset, &task.sources, &args.output, pace)?;
    refuse_unexpected(session, args, &task)?;
    refuse_beyond_limits(args, changeset)?;
    if args.auto_approve.is_none() && !changeset.changes.is_empty() {
        let prompt = render::prompt_text(changeset);
        if !approval::ask(&session.printer, &prompt, job.interrupt.token()).await? {
            session.printer.err("\nApply cancelled.\n");
            return Ok(job.interrupt.exit().unwrap_or(Exit::Declined));
        }
    }
    go(job, task, "run the same command again").await
}

/// A changeset that is about to be carried out, and what its journal says of it.
struct Task {
    changeset: Changeset,
    sources: Sources,
    question: Question,
    /// The journal of the run that is carried on with, and the digest of its changeset before anything was left out.
    resumed: Option<(Journal, Digest)>,
}

async fn go(job: Job<'_>, task: Task, carry_on: &str) -> Result<Exit, CliError> {
    let Task {
        changeset,
        sources,
        question,
        resumed,
    } = task;
    if changeset.changes.is_empty() {
        job.session.events.recap(&changeset, &Outcome::nothing());
        return Ok(Exit::Done);
    }
    let journal = match resumed {
        Some((journal, _)) => {
            journal.resume().map_err(|source| CliError::Write {
                path: journal.path().map(Path::to_owned).unwrap_or_default(),
                source,
            })?;
            journal
        }
        None => begin_journal(job.session, job.args, &changeset, &sources, question)?,
    };
    carry_out(job, &changeset, &journal, carry_on).await
}

fn refuse_unexpected(session: &Session, args: &ApplyArgs, task: &Task) -> Result<(), CliError> {
    let reviewed = match &args.expect_changeset {
        Some(path) => Some(show::parse_changeset(path, &input::read_text(path)?)?.0),
        None => None,
    };
    let Some(expected) = reviewed.as_ref().map(plan_digest).or(args.expect_digest) else {
        return Ok(());
    };
    // A run that is carried on with is known by its original changeset; else by what is about to be done.
    let digest = match &task.resumed {
        Some((_, original)) => *original,
        None => plan_digest(&task.changeset),
    };
    if expected == digest || task.changeset.changes.is_empty() {
        return Ok(());
    }
    if let Some(reviewed) = &reviewed {
        let differences = differences(reviewed, &task.changeset);
        session
            .printer
            .err(&render::differences_text(&differences, &task.changeset));
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

impl ApplyArgs {
    fn job<'a>(
        &'a self,
        session: &'a Session,
        interrupt: &'a Interrupt,
        context: &'a CallContext,
        connections: &'a Connections,
    ) -> Job<'a> {
        Job {
            session,
            args: &self.run,
            output: &self.output,
            interrupt,
            context,
            connections,
        }
    }

    fn question_of(&self, job: Job<'_>, checked: &Checked) -> Question {
        let sources = checked.plan.sources.iter();
        let sources = sources.map(|source| (source.path.clone(), source.digest.to_string()));
        Question {
            variables: checked.plan.variables.clone().into_iter().collect(),
            targets: self.scope.targets.clone(),
            excludes: self.scope.excludes.clone(),
            ..question(job.session, sources.collect(), &self.connection, job.connections)
        }
    }

    async fn find_unfinished(&self, job: Job<'_>, question: &Question) -> Result<Option<Resumed>, CliError> {
        if self.no_resume {
            return Ok(None);
        }
        resume::find(job.session, &self.run, question, job.connections, job.context).await
    }
}
