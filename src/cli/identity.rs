//! Whether the credentials reach what a saved changeset was made for.

use super::args::ConnectionArgs;
use super::connect::{self, Connections};
use super::{CliError, Environment};
use crate::changeset::Changeset;
use crate::plan;
use crate::registry::{CallContext, Kind, Operation, Rate};

/// Connects the registries that a saved changeset names, with the ambient credentials and region.
pub(super) async fn connect_saved(
    changeset: &Changeset,
    connection: &ConnectionArgs,
    put_rate: Rate,
    environment: &Environment,
) -> Result<Connections, CliError> {
    let is_single = changeset.registries.len() == 1;
    let registry = |with_region: bool| {
        let registries = changeset.registries.iter().map(move |identity| plan::Registry {
            key: identity.key.clone(),
            region: (with_region || !is_single).then(|| identity.region.clone()),
            ..plan::Registry::default()
        });
        registries.collect::<Vec<_>>()
    };
    let ambient = connect::connect(&registry(false), connection, put_rate, environment).await?;
    let connections = if ambient
        .failures
        .iter()
        .any(|(_, error)| error.kind() == Kind::Configuration)
    {
        // Without an ambient region the one of the changeset is as good as any.
        drop(ambient);
        connect::connect(&registry(true), connection, put_rate, environment).await?
    } else {
        ambient
    };
    match connections.failures.first() {
        Some((_, error)) => Err(error.clone().into()),
        None => Ok(connections),
    }
}

/// Compares account and region of the answers with those of the changeset, before anything is written.
pub(super) async fn check(
    changeset: &Changeset,
    connections: &Connections,
    context: &CallContext,
) -> Result<(), CliError> {
    const HELP: &str = "use the credentials and region it was planned with, or plan again";
    for identity in &changeset.registries {
        let Some(registry) = connections.registries.get(&identity.key) else {
            continue;
        };
        if *registry.region() != identity.region {
            return Err(CliError::refused(
                format!(
                    "the changeset is for the region {}, not {}",
                    identity.region,
                    registry.region()
                ),
                HELP,
            ));
        }
        let in_registry = |change: &&crate::changeset::Change| change.address.registry == identity.key;
        let Some(change) = changeset.changes.iter().find(in_registry) else {
            continue;
        };
        let names = [change.address.repository.clone()];
        let attempt = |turn| registry.describe_repositories(turn, &names);
        let described = registry
            .call(Operation::DescribeRepositories, context, attempt)
            .await;
        match described {
            Ok(_) => {}
            // The apply itself says which repository is gone.
            Err(error) if error.kind() == Kind::RepositoryNotFound => {}
            Err(error) => return Err(error.into()),
        }
        if let Some(account) = registry.account()
            && *account != identity.account
        {
            return Err(CliError::refused(
                format!(
                    "the changeset is for the account {}, not {account}",
                    identity.account
                ),
                HELP,
            ));
        }
    }
    Ok(())
}
