//! `init`: a commented plan file to start from.

use clap::Args;

use super::args::ConnectionArgs;
use super::interrupt::Interrupt;
use super::planning;
use super::{CliError, Exit, Session, connect};
use crate::inventory::Inventory;
use crate::model::{RegistryKey, RepositoryName};
use crate::plan::{self, Plan, PlanInput, VariableInputs};
use crate::registry::{CallContext, Rate};
use crate::render::{self, StarterRepository};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ecr-retag init shop/api shop/web > cut.yaml      # from the names alone
  ecr-retag init --read > plan.yaml                # rules for the tags that your registry holds
  ecr-retag init --sandbox ci/gateway")]
pub(super) struct InitArgs {
    /// The repositories; with --read or --sandbox all that are there, if none is named
    #[arg(value_name = "REPOSITORY")]
    repositories: Vec<RepositoryName>,
    /// Look at the tags of the repositories, and propose rules for them
    #[arg(long, help_heading = "Tags")]
    read: bool,
    #[command(flatten)]
    connection: ConnectionArgs,
}

pub(super) async fn run(session: &Session, args: &InitArgs) -> Result<Exit, CliError> {
    let interrupt = Interrupt::default();
    interrupt.run(print_starter(session, args, &interrupt)).await
}

async fn print_starter(session: &Session, args: &InitArgs, interrupt: &Interrupt) -> Result<Exit, CliError> {
    let repositories = if args.read || args.connection.sandbox.is_some() {
        read(session, args, interrupt).await?
    } else {
        let unseen = |name: &RepositoryName| StarterRepository {
            name: name.clone(),
            tags: None,
        };
        args.repositories.iter().map(unseen).collect()
    };
    if repositories.is_empty() {
        return Err(CliError::other(
            "there is no repository to write a plan for",
            "name repositories, or look at those of the registry with `--read`",
        ));
    }
    session.print(&render::starter_plan(&repositories))?;
    Ok(Exit::Done)
}

/// Reads the tags of the repositories that were named, or of all.
async fn read(
    session: &Session,
    args: &InitArgs,
    interrupt: &Interrupt,
) -> Result<Vec<StarterRepository>, CliError> {
    let plan = everything(&args.repositories)?;
    let connections = connect::connect(
        &plan.registries,
        &args.connection,
        Rate::Auto,
        &session.environment,
    )
    .await?;
    let context = CallContext::new(session.environment.seed).with_cancel(interrupt.token().clone());
    let mut repositories = Vec::new();
    let arrived = |_: &RegistryKey, inventory: Inventory| {
        repositories.push(StarterRepository {
            name: inventory.repository,
            tags: Some(inventory.tags.into_keys().collect()),
        });
    };
    let has_failed = planning::visit(session, &plan, &connections, &context, None, arrived).await?;
    connections.close()?;
    if has_failed {
        return Err(CliError::other(
            "the registry could not be read",
            "write a plan from the names alone: leave out `--read`",
        ));
    }
    // Those that do not exist yet are written down all the same.
    for name in &args.repositories {
        if !repositories.iter().any(|seen| seen.name == *name) {
            repositories.push(StarterRepository {
                name: name.clone(),
                tags: None,
            });
        }
    }
    repositories.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(repositories)
}

/// A plan that reads every tag of these repositories, or of all, and is never applied.
fn everything(repositories: &[RepositoryName]) -> Result<Plan, CliError> {
    let names: Vec<&str> = repositories.iter().map(RepositoryName::as_str).collect();
    let names = if names.is_empty() { vec!["*"] } else { names };
    // JSON is YAML.
    let text = serde_json::json!({
        "version": 1,
        "rules": [{ "name": "all", "repositories": names, "from": "*", "to": "${tag}" }],
    });
    let input = PlanInput {
        path: "-".into(),
        text: text.to_string(),
    };
    let nowhere = |_: &std::path::Path| Err(std::io::ErrorKind::NotFound.into());
    let loaded = plan::load(vec![input], &VariableInputs::default(), &nowhere);
    let help = "name fewer repositories";
    loaded
        .plan
        .ok_or_else(|| CliError::other("these repositories do not make a plan", help))
}
