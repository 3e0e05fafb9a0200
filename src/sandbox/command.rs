//! What the commands of `ecr-retag sandbox` do; arguments, printing and signals are the command line's business.

use std::fs;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::fault::{FaultPlan, Faults};
use super::quota::{Quota, Quotas};
use super::seed::{self, HistoryOptions, SeedError};
use super::state::{Caller, State};
use super::store::{self, StoreError};
use super::{Clock, Sandbox, serve};
use crate::model::{InvalidName, RepositoryName};
use crate::yaml::YamlError;

/// How to serve a sandbox.
#[derive(Debug, Clone, Default)]
pub struct ServeOptions {
    /// The port on 127.0.0.1; 0 takes a free one.
    pub port: u16,
    /// A file that gets the port number, whole, once connections are taken.
    pub port_file: Option<PathBuf>,
    /// Where the state is kept; without it in memory.
    pub state_file: Option<PathBuf>,
    /// What a new state holds instead of the built-in seed: seed files, tag histories, folders of them.
    pub seeds: Vec<PathBuf>,
    /// How tag histories are planted.
    pub history: HistoryOptions,
    /// A fault plan.
    pub faults: Option<PathBuf>,
    /// Whether ECR's published quotas are left out.
    pub is_unlimited: bool,
    /// Quotas on top of those.
    pub quotas: Vec<Quota>,
    /// How long each call takes.
    pub latency: Duration,
}

/// What a registry holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Contents {
    /// Repositories.
    pub repositories: usize,
    /// Images, children of indexes among them.
    pub images: usize,
    /// Tags.
    pub tags: usize,
}

/// A command could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The state file could not be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file could not be read or written.
    #[error("can not {action} `{}`", path.display())]
    Io {
        /// What was tried, such as `read`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A seed can not be planted.
    #[error("can not seed from `{}`", path.display())]
    Seed {
        /// The seed file or tag history.
        path: PathBuf,
        /// Why not.
        source: SeedError,
    },
    /// The name of a tag history can not be the name of a repository.
    #[error("`{}` can not be the name of a repository", path.display())]
    Name {
        /// The tag history.
        path: PathBuf,
        /// Why not.
        source: InvalidName,
    },
    /// The fault plan is not valid.
    #[error("`{}` is no fault plan", path.display())]
    Faults {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: YamlError,
    },
    /// The port can not be listened on.
    #[error("can not listen on 127.0.0.1:{port}")]
    Bind {
        /// The port.
        port: u16,
        /// Why not.
        source: io::Error,
    },
}

/// Serves a sandbox until `shutdown` is ready; `on_ready` is told the address as soon as connections are taken.
pub async fn serve(
    options: &ServeOptions,
    clock: Clock,
    on_ready: impl FnOnce(SocketAddr),
    shutdown: impl Future<Output = ()>,
) -> Result<(), CommandError> {
    let sandbox = open(options, clock)?;
    let port = options.port;
    let failed = |source: io::Error| CommandError::Bind { port, source };
    let listener = serve::bind(port).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    if let Some(path) = &options.port_file {
        write_whole(path, &format!("{}\n", address.port()))?;
    }
    on_ready(address);
    serve::serve_on(listener, sandbox.clone(), shutdown)
        .await
        .map_err(failed)?;
    Ok(sandbox.save()?)
}

/// Replaces what a state file holds, damaged or not, by the built-in seed.
pub fn reset(state_file: &Path) -> Result<Contents, CommandError> {
    let state = seed::builtin();
    store::replace(state_file, &state)?;
    Ok(contents(&state))
}

/// Adds seed files, tag histories and folders of them to a state file, which is made if it is not there.
///
/// A history `NAME.tsv` becomes the repository `NAME`. Returns what the registry of the built-in seed's account and
/// region holds afterwards.
pub fn seed(
    state_file: &Path,
    files: &[PathBuf],
    history: HistoryOptions,
    clock: Clock,
) -> Result<Contents, CommandError> {
    let sandbox = Sandbox::open_or_else(state_file, clock, State::new)?;
    let mut state = sandbox.with_state(State::clone);
    plant_files(files, history, &mut state)?;
    let contents = contents(&state);
    sandbox.edit(|present| *present = state)?;
    Ok(contents)
}

fn open(options: &ServeOptions, clock: Clock) -> Result<Sandbox, CommandError> {
    let faults = match &options.faults {
        Some(path) => Faults::new(read_faults(path)?),
        None => Faults::none(),
    };
    let state = if options.seeds.is_empty() {
        seed::builtin()
    } else {
        let mut state = State::new();
        plant_files(&options.seeds, options.history, &mut state)?;
        state
    };
    let sandbox = match &options.state_file {
        Some(path) => Sandbox::open_or_else(path, clock, || state)?,
        None => Sandbox::new(state, Faults::none(), clock),
    };
    sandbox.set_faults(faults);
    if options.is_unlimited {
        sandbox.set_quotas(Quotas::none());
    }
    for quota in &options.quotas {
        sandbox.set_quota(quota.clone());
    }
    sandbox.set_latency(options.latency);
    Ok(sandbox)
}

fn read_faults(path: &Path) -> Result<FaultPlan, CommandError> {
    FaultPlan::parse(&read(path)?).map_err(|source| CommandError::Faults {
        path: path.to_owned(),
        source,
    })
}

fn plant_files(files: &[PathBuf], history: HistoryOptions, state: &mut State) -> Result<(), CommandError> {
    let Some(owner) = seed::default_owner() else {
        return Ok(());
    };
    for file in files {
        if file.is_dir() {
            for file in seeds_in(file)? {
                plant_file(&file, history, &owner, state)?;
            }
        } else {
            plant_file(file, history, &owner, state)?;
        }
    }
    Ok(())
}

fn plant_file(
    path: &Path,
    history: HistoryOptions,
    owner: &Caller,
    state: &mut State,
) -> Result<(), CommandError> {
    let text = read(path)?;
    let planted = if has_extension(path, &["tsv"]) {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let name: RepositoryName = stem.parse().map_err(|source| CommandError::Name {
            path: path.to_owned(),
            source,
        })?;
        seed::plant_history(&text, owner, &name, history, state)
    } else {
        seed::parse(&text).and_then(|seed| seed::plant(&seed, owner, state))
    };
    planted.map_err(|source| CommandError::Seed {
        path: path.to_owned(),
        source,
    })
}

fn seeds_in(folder: &Path) -> Result<Vec<PathBuf>, CommandError> {
    let entries = fs::read_dir(folder).and_then(|entries| {
        entries
            .map(|entry| Ok(entry?.path()))
            .collect::<io::Result<Vec<PathBuf>>>()
    });
    let mut files = entries.map_err(|source| CommandError::Io {
        action: "read",
        path: folder.to_owned(),
        source,
    })?;
    files.retain(|path| path.is_file() && has_extension(path, &["tsv", "yaml", "yml"]));
    files.sort();
    Ok(files)
}

fn has_extension(path: &Path, extensions: &[&str]) -> bool {
    path.extension()
        .is_some_and(|extension| extensions.iter().any(|other| extension == *other))
}

fn contents(state: &State) -> Contents {
    let Some(owner) = seed::default_owner() else {
        return Contents::default();
    };
    let mut contents = Contents::default();
    for (_, repository) in state.repositories(&owner) {
        contents.repositories += 1;
        contents.images += repository.image_count();
        contents.tags += repository.tags().count();
    }
    contents
}

fn read(path: &Path) -> Result<String, CommandError> {
    fs::read_to_string(path).map_err(|source| CommandError::Io {
        action: "read",
        path: path.to_owned(),
        source,
    })
}

/// Whoever waits for the file sees nothing or all of it.
fn write_whole(path: &Path, text: &str) -> Result<(), CommandError> {
    let failed = |source: io::Error| CommandError::Io {
        action: "write",
        path: path.to_owned(),
        source,
    };
    let folder = store::folder_of(path);
    fs::create_dir_all(folder).map_err(failed)?;
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}
