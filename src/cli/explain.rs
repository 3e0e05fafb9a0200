//! `explain`: why one tag is changed, kept, skipped or not touched.

use clap::{Args, ValueHint};
use std::path::PathBuf;

use super::args::{ConnectionArgs, PlanArgs, VariableArgs};
use super::interrupt::Interrupt;
use super::planning;
use super::{CliError, Exit, Session, connect, input};
use crate::changeset::{Explanation, Input, Scope, explain};
use crate::model::{Address, RegistryKey};
use crate::plan::Plan;
use crate::registry::{CallContext, Rate};
use crate::render;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ecr-retag explain plans/release-cutover.yaml shop/api:stable --sandbox
  ecr-retag explain plans/ eu/shop/api:previous --json      # in a plan with several registries")]
pub(super) struct ExplainArgs {
    /// Plan files, a directory of them, or `-` for standard input; then the address of the tag
    #[arg(required = true, num_args = 2.., value_names = ["PLAN", "ADDRESS"], value_hint = ValueHint::AnyPath)]
    plans_and_address: Vec<PathBuf>,
    #[command(flatten)]
    variables: VariableArgs,
    /// Print JSON
    #[arg(long, help_heading = "Output")]
    json: bool,
    #[command(flatten)]
    connection: ConnectionArgs,
}

pub(super) async fn run(session: &Session, args: &ExplainArgs) -> Result<Exit, CliError> {
    let interrupt = Interrupt::default();
    interrupt.run(explain_tag(session, args, &interrupt)).await
}

async fn explain_tag(session: &Session, args: &ExplainArgs, interrupt: &Interrupt) -> Result<Exit, CliError> {
    let Some((address, plans)) = args.plans_and_address.split_last() else {
        return Err(CliError::usage(
            "there is no address",
            "name a plan file and an address",
        ));
    };
    let plan_args = PlanArgs {
        plans: plans.to_vec(),
        variables: args.variables.clone(),
    };
    let loaded = input::load_plans(&plan_args, &session.environment)?;
    let Some(checked) = session.checked(loaded) else {
        return Ok(Exit::Error);
    };
    let written = address.to_string_lossy();
    let address = parse_address(&written, &checked.plan)?;
    let mut registries = checked.plan.registries.clone();
    registries.retain(|registry| registry.key == address.registry);
    let connections =
        connect::connect(&registries, &args.connection, Rate::Auto, &session.environment).await?;
    let context = CallContext::new(session.environment.seed).with_cancel(interrupt.token().clone());
    let mut explanation: Option<Explanation> = None;
    let arrived = |registry: &RegistryKey, inventory| {
        let input = Input {
            plan: &checked.plan,
            registry,
            inventory: &inventory,
            now: session.environment.now(),
            scope: &Scope::default(),
        };
        explanation = Some(explain(&input, &address.tag));
    };
    let only = Some(&address);
    let has_failed = planning::visit(session, &checked.plan, &connections, &context, only, arrived).await?;
    connections.close()?;
    if has_failed {
        return Ok(Exit::Error);
    }
    let Some(explanation) = explanation else {
        return not_there(&address, &checked.plan);
    };
    session.print_diagnostics(&explanation.diagnostics, &checked.sources);
    session.print(&if args.json {
        render::explanation_json(&explanation, &written, &checked.sources)
    } else {
        render::explanation_text(&explanation, &written, session.printer.out_look())
    })?;
    Ok(Exit::Done)
}

/// The repository did not arrive: no rule applies to it, or it does not exist.
fn not_there(address: &Address, plan: &Plan) -> Result<Exit, CliError> {
    let Address {
        repository, registry, ..
    } = address;
    Err(if plan.matches(registry, repository) {
        CliError::other(
            format!("there is no repository `{repository}`"),
            "correct the name, the account or the region",
        )
    } else {
        CliError::other(
            format!("no rule applies to the repository `{repository}`"),
            "add it to the `repositories` of a rule",
        )
    })
}

/// Reads `REPOSITORY:TAG`, or `NAME/REPOSITORY:TAG` if the plan has several registries.
fn parse_address(written: &str, plan: &Plan) -> Result<Address, CliError> {
    let is_qualified = plan.registries.len() > 1;
    let shape = if is_qualified {
        "REGISTRY/REPOSITORY:TAG, since the plan has several registries"
    } else {
        "REPOSITORY:TAG"
    };
    let wrong = || {
        CliError::usage(
            format!("`{}` is no address", written.escape_debug()),
            format!("an address is {shape}"),
        )
    };
    let (registry, rest) = if is_qualified {
        let (name, rest) = written.split_once('/').ok_or_else(wrong)?;
        let registry = plan
            .registries
            .iter()
            .find(|registry| registry.key.as_str() == name);
        (registry.ok_or_else(wrong)?, rest)
    } else {
        (plan.registries.first().ok_or_else(wrong)?, written)
    };
    let (repository, tag) = rest.split_once(':').ok_or_else(wrong)?;
    Ok(Address {
        registry: registry.key.clone(),
        repository: repository.parse().map_err(|_| wrong())?,
        tag: tag.parse().map_err(|_| wrong())?,
    })
}
