//! `rollback`: shows the way back from what a run did, asks, and goes it.

use std::path::PathBuf;

use clap::{Args, ValueHint};

use super::approval;
use super::args::{ConnectionArgs, OutputArgs};
use super::carry_out::{Job, RunArgs, begin_journal, carry_out, question};
use super::interrupt::Interrupt;
use super::resume::{self, Resumed};
use super::{CliError, Exit, Session, identity};
use crate::apply::journal::{Fate, Record};
use crate::changeset::{self, Changeset, Made};
use crate::diagnostic::Sources;
use crate::event::Outcome;
use crate::registry::CallContext;
use crate::render::{self, Progress};
use crate::survey;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ecr-retag rollback .ecr-retag/journals/20260501T120000000Z-1f2e3d4c.jsonl
  ecr-retag rollback run.jsonl --auto-approve")]
pub(super) struct RollbackArgs {
    /// The journal of the run, as `apply` has printed its path
    #[arg(value_name = "JOURNAL", value_hint = ValueHint::FilePath)]
    past: PathBuf,
    /// Do not ask
    #[arg(long, help_heading = "Apply")]
    auto_approve: bool,
    #[command(flatten)]
    run: RunArgs,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    connection: ConnectionArgs,
}

pub(super) async fn run(session: &Session, args: &RollbackArgs) -> Result<Exit, CliError> {
    let interrupt = Interrupt::default();
    let session = &session.with_event_log(&args.output)?;
    match interrupt
        .watch(Box::pin(rollback(session, args, &interrupt)))
        .await
    {
        Ok(Err(_)) if interrupt.exit().is_some() => Ok(interrupt.exit().unwrap_or(Exit::Interrupted)),
        Ok(done) => done.inspect_err(|error| session.events.error(error, error.help().as_deref())),
        Err(exit) => Ok(exit),
    }
}

async fn rollback(session: &Session, args: &RollbackArgs, interrupt: &Interrupt) -> Result<Exit, CliError> {
    if !args.auto_approve && !session.environment.stdin_is_terminal {
        return Err(approval::cannot_ask());
    }
    let context = args.run.context(session, interrupt);
    // Locked until the way back is gone, so that nobody carries on with it meanwhile.
    let past = resume::reopen(session, &args.past)?;
    let done = &past.record.changeset;
    let connections = identity::connect_saved(session, done, &args.connection, args.run.put_rate).await?;
    identity::check(done, &connections, &context).await?;
    let job = Job {
        session,
        args: &args.run,
        output: &args.output,
        interrupt,
        context: &context,
        connections: &connections,
    };
    let back = way_back(job, &past.record, &context).await?;
    let exit = go_back(args, job, &past, &back).await;
    connections.close()?;
    exit
}

/// Plans the way back against the registry as it is now.
async fn way_back(job: Job<'_>, record: &Record, context: &CallContext) -> Result<Changeset, CliError> {
    let progress = Progress::new();
    let registries = &job.connections.registries;
    let events = progress.events();
    let look = Box::pin(survey::revisit(&record.changeset, registries, context, &events));
    let inventories = progress.during(&job.session.printer, look).await?;
    let made = |fate: &Fate| match fate {
        Fate::Untouched => Made::No,
        Fate::Open => Made::Perhaps,
        Fate::Done => Made::Yes,
    };
    let made: Vec<Made> = record.fates.iter().map(made).collect();
    let mut back = changeset::rollback(&record.changeset, &made, &inventories);
    back.created_at = Some(job.session.environment.now());
    Ok(back)
}

async fn go_back(
    args: &RollbackArgs,
    job: Job<'_>,
    past: &Resumed,
    back: &Changeset,
) -> Result<Exit, CliError> {
    let session = job.session;
    let (sources, pace) = (Sources::default(), job.connections.puts_per_second());
    session.print_changeset_to_apply(back, &sources, &args.output, pace)?;
    let is_qualified = back.is_qualified();
    for left in &back.skipped {
        let address = left.address.to_text(is_qualified);
        session
            .printer
            .err(&format!("Warning: `{address}` is left alone: {}\n", left.why));
    }
    let whole = if back.skipped.is_empty() {
        Exit::Done
    } else {
        Exit::Incomplete
    };
    if back.changes.is_empty() {
        session.events.recap(back, &Outcome::nothing());
        return Ok(whole);
    }
    if !args.auto_approve {
        let prompt = render::prompt_text(back);
        if !approval::ask(&session.printer, &prompt, job.interrupt.token()).await? {
            session.printer.err("\nRollback cancelled.\n");
            return Ok(job.interrupt.exit().unwrap_or(Exit::Declined));
        }
    }
    let asked = vec![(
        "rollback".to_owned(),
        past.record.header.changeset.plan_digest.clone(),
    )];
    let question = question(session, asked, &args.connection, job.connections);
    let journal = begin_journal(session, &args.run, back, &sources, question)?;
    past.journal.roll_back().map_err(|source| CliError::Write {
        path: args.past.clone(),
        source,
    })?;
    let exit = carry_out(job, back, &journal, "run the same command again").await?;
    Ok(if exit == Exit::Done { whole } else { exit })
}
