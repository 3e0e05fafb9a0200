//! `validate`: parse, check, exit.

use clap::Args;

use super::args::PlanArgs;
use super::{CliError, Exit, Session, input};
use crate::render;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  ecr-retag validate plans/\n  ecr-retag validate cut.yaml --var candidate=1.8.0-rc.3"
)]
pub(super) struct ValidateArgs {
    #[command(flatten)]
    plan: PlanArgs,
    /// Print the diagnostics as JSON
    #[arg(long, help_heading = "Output")]
    json: bool,
}

pub(super) fn run(session: &Session, args: &ValidateArgs) -> Result<Exit, CliError> {
    let loaded = input::load_plans(&args.plan, &session.environment)?;
    session.print_diagnostics(&loaded.diagnostics, &loaded.sources);
    if args.json {
        session.print(&render::validation_json(&loaded.diagnostics, &loaded.sources))?;
    } else if let Some(plan) = &loaded.plan {
        let count = |n: usize, noun: &str| format!("{n} {noun}{}", if n == 1 { "" } else { "s" });
        let rules = count(plan.rules.len(), "rule");
        let files = count(plan.sources.len(), "plan file");
        session.print(&format!(
            "Success! The configuration is valid: {rules} in {files}.\n"
        ))?;
    }
    Ok(if loaded.plan.is_some() {
        Exit::Done
    } else {
        Exit::Error
    })
}
