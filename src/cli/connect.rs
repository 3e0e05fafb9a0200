//! From options and environment to registries that can be called: AWS, another endpoint, or the sandbox.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::args::ConnectionArgs;
use super::{CliError, Environment};
use crate::model::RegistryKey;
use crate::plan;
use crate::registry::{self, ConnectOptions, InProcess, Operation, Rate, Registry, RegistryError};
use crate::sandbox::{self, Sandbox};

/// The registries of a plan, connected as far as that went.
pub(super) struct Connections {
    pub(super) registries: BTreeMap<RegistryKey, Registry>,
    pub(super) failures: Vec<(RegistryKey, RegistryError)>,
    /// Keeps the sandbox's state file open for as long as its registries are used.
    pub(super) sandbox: Option<Sandbox>,
}

impl Connections {
    /// The pace of `PutImage` at which the slowest registry begins, for the estimate of how long an apply takes.
    pub(super) fn puts_per_second(&self) -> f64 {
        let paces = self
            .registries
            .values()
            .map(|r| r.pace(Operation::PutImage).per_second());
        paces.fold(f64::INFINITY, f64::min)
    }

    /// Writes the sandbox's state down, if there is one.
    pub(super) fn close(&self) -> Result<(), CliError> {
        self.sandbox
            .as_ref()
            .map_or(Ok(()), |sandbox| Ok(sandbox.save()?))
    }
}

/// Connects the registries of a plan; no call is made yet.
pub(super) async fn connect(
    registries: &[plan::Registry],
    args: &ConnectionArgs,
    put_rate: Rate,
    environment: &Environment,
) -> Result<Connections, CliError> {
    check_endpoints(environment)?;
    let sandbox = args
        .sandbox
        .as_deref()
        .map(|path| open_sandbox(path, environment))
        .transpose()?;
    let options = connect_options(args, put_rate, sandbox.as_ref(), environment);
    let mut connections = Connections {
        registries: BTreeMap::new(),
        failures: Vec::new(),
        sandbox,
    };
    let connected = registry::connect_all(registries, &options).await;
    for (registry, connected) in registries.iter().zip(connected) {
        match connected {
            Ok(connected) => {
                connections.registries.insert(registry.key.clone(), connected);
            }
            Err(error) => connections.failures.push((registry.key.clone(), error)),
        }
    }
    Ok(connections)
}

/// The SDK panics on an endpoint that is empty.
fn check_endpoints(environment: &Environment) -> Result<(), CliError> {
    let mut variables = environment.variables.iter();
    match variables.find(|(name, url)| name.starts_with("AWS_ENDPOINT_URL") && url.trim().is_empty()) {
        Some((name, _)) => Err(CliError::other(
            format!("`{name}` is empty"),
            format!("set it to a URL, or `unset {name}`"),
        )),
        None => Ok(()),
    }
}

/// Opens the sandbox that `--sandbox` names.
pub(super) fn open_sandbox(path: &Path, environment: &Environment) -> Result<Sandbox, CliError> {
    Ok(Sandbox::open(path, Arc::clone(&environment.clock))?)
}

/// The options of the command line, with the environment where they are silent.
pub(super) fn connect_options(
    args: &ConnectionArgs,
    put_rate: Rate,
    sandbox: Option<&Sandbox>,
    environment: &Environment,
) -> ConnectOptions {
    let in_process = sandbox.map(|sandbox| InProcess {
        http_client: sandbox.http_client(),
        access_key_id: sandbox::DEFAULT_ACCOUNT.to_owned(),
        clock: Arc::clone(&environment.clock),
    });
    let region = args.region.clone().or_else(|| {
        let is_sandbox = in_process.is_some();
        is_sandbox.then(|| sandbox::DEFAULT_REGION.parse().ok()).flatten()
    });
    ConnectOptions {
        profile: args.profile.clone(),
        ambient_profile: environment.get("AWS_PROFILE").map(ToOwned::to_owned),
        region,
        endpoint_url: args.endpoint_url.clone(),
        ca_bundle: args
            .ca_bundle
            .clone()
            .or_else(|| environment.get("AWS_CA_BUNDLE").map(Into::into)),
        no_verify_ssl: args.no_verify_ssl,
        connect_timeout: args.connect_timeout,
        read_timeout: args.read_timeout,
        no_sign_request: false,
        in_process,
        put_rate,
    }
}
