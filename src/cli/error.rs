//! What ends a command early: about the world, not about the plan file.

use std::io;
use std::path::PathBuf;

use super::exit::Exit;
use crate::changeset::InvalidScope;
use crate::changeset::file::InvalidChangeset;
use crate::registry::RegistryError;
use crate::sandbox::StoreError;
use crate::sandbox::command::CommandError;

/// What ends a command early.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// A file cannot be read.
    #[error("cannot read `{path}`: {source}")]
    Read {
        /// The file as it was named.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write `{path}`: {source}")]
    Write {
        /// The file as it was named.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A directory holds no plan file.
    #[error("`{0}` holds no plan file")]
    EmptyDirectory(PathBuf),
    /// The registry, or the way to it.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The sandbox's state file.
    #[error(transparent)]
    Sandbox(#[from] StoreError),
    /// The sandbox as a server, or its seeds.
    #[error(transparent)]
    SandboxCommand(#[from] CommandError),
    /// A saved changeset that cannot be used.
    #[error("`{path}`: {source}")]
    Changeset {
        /// The file as it was named.
        path: PathBuf,
        /// What is wrong with it.
        source: InvalidChangeset,
    },
    /// Options that do not go together, or whose values cannot be read.
    #[error("{message}")]
    Usage {
        /// What is wrong.
        message: String,
        /// What to do.
        help: Option<String>,
    },
    /// A rule that somebody set up forbids it.
    #[error("{message}")]
    Refused {
        /// What is forbidden.
        message: String,
        /// What to do.
        help: Option<String>,
    },
    /// Everything else that stands in the way.
    #[error("{message}")]
    Other {
        /// What happened.
        message: String,
        /// What to do.
        help: Option<String>,
    },
    /// The command was interrupted by this signal before it wrote anything.
    #[error("interrupted")]
    Interrupted(Exit),
}

impl CliError {
    pub(super) fn usage(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self::Usage {
            message: message.into(),
            help: Some(help.into()),
        }
    }

    pub(super) fn refused(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self::Refused {
            message: message.into(),
            help: Some(help.into()),
        }
    }

    pub(super) fn other(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self::Other {
            message: message.into(),
            help: Some(help.into()),
        }
    }

    /// How the program ends after this.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Usage { .. } => Exit::Usage,
            Self::Refused { .. }
            | Self::Changeset {
                source: InvalidChangeset::Edited { .. },
                ..
            } => Exit::Refused,
            Self::Interrupted(exit) => *exit,
            Self::Read { .. }
            | Self::Write { .. }
            | Self::EmptyDirectory(_)
            | Self::Registry(_)
            | Self::Sandbox(_)
            | Self::SandboxCommand(_)
            | Self::Changeset { .. }
            | Self::Other { .. } => Exit::Error,
        }
    }

    /// What to do about it.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Usage { help, .. } | Self::Refused { help, .. } | Self::Other { help, .. } => help.clone(),
            Self::Registry(error) => error.help(),
            Self::Changeset {
                source: InvalidChangeset::Edited { .. },
                ..
            } => Some("make the changeset anew with `ecr-retag plan --out`".to_owned()),
            Self::EmptyDirectory(_) => Some("plan files end in `.yaml` or `.yml`".to_owned()),
            Self::Read { .. }
            | Self::Write { .. }
            | Self::Sandbox(_)
            | Self::SandboxCommand(_)
            | Self::Changeset { .. }
            | Self::Interrupted(_) => None,
        }
    }
}

impl From<InvalidScope> for CliError {
    fn from(error: InvalidScope) -> Self {
        Self::Usage {
            message: error.to_string(),
            help: None,
        }
    }
}
