//! Whether the credentials reach what a saved changeset was made for.

use std::collections::BTreeSet;

use futures::future::try_join_all;

use super::args::ConnectionArgs;
use super::connect::{self, Connections};
use super::{CliError, Session};
use crate::changeset::{Changeset, RegistryIdentity};
use crate::model::{RegistryKey, RepositoryName};
use crate::plan;
use crate::registry::{CallContext, Kind, Operation, Rate, Registry};

/// Connects the registries that a saved changeset changes, the way its plan file said.
pub(super) async fn connect_saved(
    session: &Session,
    changeset: &Changeset,
    connection: &ConnectionArgs,
    put_rate: Rate,
) -> Result<Connections, CliError> {
    let environment = &session.environment;
    for identity in changeset.registries_to_change() {
        if let (Some(endpoint), None) = (&identity.access.endpoint, &connection.sandbox) {
            // Whoever edits the file could have the calls sent anywhere, and the plan digest does not tell.
            session
                .printer
                .note(&format!("Calling `{}` at {endpoint}\n", identity.key));
        }
    }
    let registries = |with_region: bool| {
        let registries = changeset.registries_to_change().map(move |identity| {
            let mut access = identity.access.clone();
            if with_region {
                access.region = access.region.or_else(|| identity.region.clone());
            }
            plan::Registry {
                key: identity.key.clone(),
                access,
            }
        });
        registries.collect::<Vec<_>>()
    };
    // The region of one registry may be ambient, and is then compared.
    let is_ambient = !changeset.is_qualified();
    let mut connections =
        connect::connect(&registries(!is_ambient), connection, put_rate, environment).await?;
    let lacks_region = connections
        .failures
        .iter()
        .any(|(_, error)| error.kind() == Kind::Configuration);
    if is_ambient && lacks_region {
        // Without an ambient region the one of the changeset is as good as any.
        drop(connections);
        connections = connect::connect(&registries(true), connection, put_rate, environment).await?;
    }
    match connections.failures.first() {
        Some((key, error)) => Err(in_registry(changeset, key, error.clone().into())),
        None => Ok(connections),
    }
}

/// Compares account and region of the answers with those of the changeset, before anything is written.
pub(super) async fn check(
    changeset: &Changeset,
    connections: &Connections,
    context: &CallContext,
) -> Result<(), CliError> {
    let checks = changeset.registries_to_change().filter_map(|identity| {
        let registry = connections.registries.get(&identity.key)?;
        let addresses = changeset.changes.iter().map(|change| &change.address);
        let repositories = addresses
            .filter(|address| address.registry == identity.key)
            .map(|address| &address.repository);
        let check = check_one(identity, registry, repositories.collect(), context);
        Some(async {
            check
                .await
                .map_err(|error| in_registry(changeset, &identity.key, error))
        })
    });
    try_join_all(checks).await?;
    Ok(())
}

/// Says of which registry an error is, where there are several.
fn in_registry(changeset: &Changeset, key: &RegistryKey, error: CliError) -> CliError {
    if !changeset.is_qualified() {
        return error;
    }
    let message = format!("registry `{key}`: {error}");
    let help = error.help();
    match error {
        CliError::Refused { .. } => CliError::Refused { message, help },
        CliError::Registry(_) => CliError::Other { message, help },
        other => other,
    }
}

async fn check_one(
    identity: &RegistryIdentity,
    registry: &Registry,
    repositories: BTreeSet<&RepositoryName>,
    context: &CallContext,
) -> Result<(), CliError> {
    const HELP: &str = "use the credentials and region it was planned with, or plan again";
    if let Some(region) = &identity.region
        && region != registry.region()
    {
        let found = registry.region();
        return Err(CliError::refused(
            format!("the changeset is for the region {region}, not {found}"),
            HELP,
        ));
    }
    let mut missing = None;
    for repository in repositories {
        let names = [repository.clone()];
        let attempt = |turn| registry.describe_repositories(turn, &names);
        let described = registry
            .call(Operation::DescribeRepositories, context, attempt)
            .await;
        match described {
            Ok(_) => break,
            // Carries no account. Of several repositories the apply itself says which is gone.
            Err(error) if error.kind() == Kind::RepositoryNotFound => missing = Some(error),
            Err(error) => return Err(error.into()),
        }
    }
    match (&identity.account, registry.account()) {
        (Some(account), Some(found)) if account != found => Err(CliError::refused(
            format!("the changeset is for the account {account}, not {found}"),
            HELP,
        )),
        (Some(account), None) if let Some(error) = missing => Err(CliError::refused(
            format!(
                "the changeset is for the account {account}, and nothing of it is where the credentials lead: {error}"
            ),
            HELP,
        )),
        _ => Ok(()),
    }
}
