//! What happens while a registry is read and a changeset is applied: the only way from there to the screen.
//!
//! Reading and applying say what they do through [`Events`] and print nothing. The terminal's bar, the plain lines of
//! CI and the lines of `apply --json` are three listeners to the same events.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::model::{Address, Digest, RegistryKey, RepositoryName};

/// Takes events, from any task and in the order they happen.
#[derive(Clone)]
pub struct Events(Arc<dyn Fn(Event) + Send + Sync>);

impl Events {
    /// Passes events to this function, which must return quickly.
    pub fn new(listener: impl Fn(Event) + Send + Sync + 'static) -> Self {
        Self(Arc::new(listener))
    }

    /// Drops every event.
    pub fn none() -> Self {
        Self::new(|_| {})
    }

    /// Says that something happened.
    pub fn emit(&self, event: Event) {
        (self.0)(event);
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Events")
    }
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The repositories that will be read are known.
    RepositoriesFound {
        /// The registry.
        registry: RegistryKey,
        /// How many of its repositories will be read.
        count: u64,
    },
    /// One repository was read and planned.
    RepositoryRead {
        /// The registry.
        registry: RegistryKey,
        /// The repository.
        repository: RepositoryName,
    },
    /// Changes are about to be made.
    ApplyStarted {
        /// How many there are.
        changes: u64,
    },
    /// A change is being made.
    ChangeStarted {
        /// The tag.
        address: Address,
    },
    /// A change has come to its end; said again if a tag that was written does not stay where it was put.
    ChangeFinished {
        /// The tag.
        address: Address,
        /// How it ended.
        result: ChangeResult,
        /// How many times its call was sent.
        attempts: u32,
    },
    /// A call failed in a way that passes, and will be made again.
    Retrying {
        /// The registry.
        registry: RegistryKey,
        /// The operation, such as `PutImage`.
        operation: &'static str,
        /// Whether the registry asked to slow down.
        is_throttle: bool,
        /// How long until the next attempt.
        wait: Duration,
    },
    /// The pace of `PutImage` has changed.
    PaceChanged {
        /// The registry.
        registry: RegistryKey,
        /// Calls per second now.
        puts_per_second: f64,
    },
    /// No new calls are made; those in flight are awaited.
    Stopping {
        /// Why.
        why: Ending,
    },
}

/// How one change ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangeResult {
    /// The tag was written or removed, and is where it should be.
    Done,
    /// The tag was where it should be before anything was written.
    AlreadyDone,
    /// Somebody else moved the tag; nothing was written, or what was written has been overwritten.
    Stale {
        /// Where the tag is now; absent if it is gone.
        now: Option<Digest>,
    },
    /// It could not be made.
    Failed(Failure),
    /// It was not tried.
    NotAttempted(NotAttempted),
}

/// Why a change could not be made, as a reader needs it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Failure {
    /// What happened, in one line.
    pub message: String,
    /// AWS's code, such as `AccessDeniedException`.
    pub code: Option<String>,
    /// AWS's id of the request, for its support.
    pub request_id: Option<String>,
    /// What to do about it.
    pub help: Option<String>,
}

/// Why a change was not tried.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum NotAttempted {
    /// The run had ended before its turn.
    Stopped,
    /// A change of an earlier stage or wave did not succeed.
    EarlierFailed,
    /// This tag, which the change requires, is not on the image it must keep.
    RequirementUnmet(Address),
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// Every change was tried.
    Finished,
    /// A change failed or was stale, and `--on-error stop` holds.
    Stopped,
    /// Everything fails in the same way, such as expired credentials.
    Hopeless {
        /// The registries of which this is so; empty if it is all of them.
        registries: Vec<RegistryKey>,
        /// The failure.
        failure: Failure,
    },
    /// `--max-duration` is over.
    OutOfTime,
    /// The run was interrupted.
    Interrupted,
}

/// How a run went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// How each change of the changeset ended, in its order.
    pub results: Vec<ChangeResult>,
    /// How the run ended.
    pub ending: Ending,
    /// How long it took.
    pub elapsed: Duration,
    /// The calls that were made, sorted by operation.
    pub calls: Vec<CallCount>,
}

impl Outcome {
    /// That of a run that had nothing to do.
    pub fn nothing() -> Self {
        Self {
            results: Vec::new(),
            ending: Ending::Finished,
            elapsed: Duration::ZERO,
            calls: Vec::new(),
        }
    }
}

/// How often an operation was called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct CallCount {
    /// The operation, such as `PutImage`.
    pub operation: &'static str,
    /// Calls that were sent, attempts included.
    pub calls: u64,
    /// How many of them were throttled.
    pub throttled: u64,
    /// How many of them failed in passing, throttles included, and were made again.
    pub retried: u64,
}

impl ChangeResult {
    /// Whether the tag is where the changeset wants it.
    pub fn is_success(&self) -> bool {
        matches!(self, Self::Done | Self::AlreadyDone)
    }
}
