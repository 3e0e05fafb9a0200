//! `plan`: what would change, shown and perhaps saved.

use std::path::PathBuf;

use clap::{Args, ValueHint};

use super::args::{ConnectionArgs, OutputArgs, PlanArgs, ScopeArgs};
use super::interrupt::Interrupt;
use super::planning::{self, Planned};
use super::{CliError, Exit, Session, check_access, connect, input};
use crate::changeset::file::Document;
use crate::diagnostic::Sources;
use crate::registry::{CallContext, Rate};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ecr-retag plan plans/release-cutover.yaml --sandbox
  ecr-retag plan cut.yaml --var candidate=1.8.0-rc.3 --out cut.json --detailed-exitcode
  ecr-retag plan cut.yaml --check-access
  cat cut.yaml | ecr-retag plan - --json | jq .summary")]
pub(super) struct PlanCommandArgs {
    #[command(flatten)]
    plan: PlanArgs,
    /// Save the changeset to this file, for `apply`
    #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Output")]
    out: Option<PathBuf>,
    /// Exit with 2 if there are changes, 0 if there are none
    #[arg(long, help_heading = "Output")]
    detailed_exitcode: bool,
    /// Only say which IAM actions the credentials lack for this plan, as far as reads can tell
    #[arg(
        long,
        conflicts_with_all = [
            "out", "detailed_exitcode", "format", "json_into", "gitlab_report", "full", "targets", "excludes",
            "allow_partial",
        ],
        help_heading = "Output"
    )]
    check_access: bool,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    scope: ScopeArgs,
    #[command(flatten)]
    connection: ConnectionArgs,
}

pub(super) async fn run(session: &Session, args: &PlanCommandArgs) -> Result<Exit, CliError> {
    let interrupt = Interrupt::default();
    interrupt.run(plan(session, args, &interrupt)).await
}

async fn plan(session: &Session, args: &PlanCommandArgs, interrupt: &Interrupt) -> Result<Exit, CliError> {
    let loaded = input::load_plans(&args.plan, &session.environment)?;
    let Some(checked) = session.checked(loaded) else {
        return Ok(Exit::Error);
    };
    let connections = connect::connect(
        &checked.plan.registries,
        &args.connection,
        Rate::Auto,
        &session.environment,
    )
    .await?;
    let context = CallContext::new(session.environment.seed).with_cancel(interrupt.token().clone());
    if args.check_access {
        let exit = check_access::run(session, &checked, &connections, &context, &args.output).await?;
        connections.close()?;
        return Ok(exit);
    }
    let given = (&args.scope, &args.output);
    let planned = planning::plan(session, &checked, &connections, &context, given).await?;
    connections.close()?;
    session.print_messages(&planned, &checked.sources);
    let pace = connections.puts_per_second();
    session.print_changeset(&planned.changeset, &checked.sources, &args.output, pace)?;
    if planned.has_errors() {
        return Ok(Exit::Error);
    }
    if planned.has_refusals() {
        return Ok(Exit::Refused);
    }
    if let Some(path) = &args.out {
        let document = Document::new(&planned.changeset, &checked.sources);
        super::output::write_file(path, |file| document.write_json(file))?;
        if let Some(report) = &session.github {
            report.saved(path);
        }
        session.printer.note(&format!(
            "Saved the changeset to: {path}\n\nTo make exactly these changes, run:\n  ecr-retag apply {path}\n",
            path = path.display()
        ));
    }
    let has_changes = !planned.changeset.changes.is_empty();
    Ok(if args.detailed_exitcode && has_changes {
        Exit::Changes
    } else {
        Exit::Done
    })
}

impl Session {
    /// Prints everything there is to say about a changeset, but not the changeset.
    pub(super) fn print_messages(&self, planned: &Planned, sources: &Sources) {
        self.print_failures(&planned.failures, planned.changeset.is_qualified());
        self.print_diagnostics(&planned.changeset.diagnostics, sources);
    }
}
