//! What all calls of one run share: when to stop, whom to tell, where chance comes from.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Kind, Operation, RegistryError};
use crate::event::{Event, Events};
use crate::model::RegistryKey;

/// What all calls of one run share; cheap to clone.
#[derive(Clone)]
pub struct CallContext {
    cancel: CancellationToken,
    deadline: Option<Instant>,
    chance: Arc<Mutex<fastrand::Rng>>,
    observer: Arc<dyn Observer>,
}

/// Is told what happens to calls while they happen; hears nothing of what it does not ask for.
pub trait Observer: Send + Sync {
    /// A call failed and will be tried again.
    fn will_retry(&self, _retry: &Retry<'_>) {}

    /// So many more repositories are going to be looked at.
    fn repositories_found(&self, _registry: &RegistryKey, _count: usize) {}
}

/// A call that failed and will be tried again.
#[derive(Debug)]
pub struct Retry<'a> {
    /// The registry's name in the plan file.
    pub registry: &'a RegistryKey,
    /// What was called.
    pub operation: Operation,
    /// Why it failed.
    pub error: &'a RegistryError,
    /// How long it waits before it asks for its next turn.
    pub wait: Duration,
}

/// Passes on what it hears, for whoever listens to events.
impl Observer for Events {
    fn will_retry(&self, retry: &Retry<'_>) {
        self.emit(Event::Retrying {
            registry: retry.registry.clone(),
            operation: retry.operation.as_str(),
            is_throttle: retry.error.kind() == Kind::Throttled,
            wait: retry.wait,
        });
    }

    fn repositories_found(&self, registry: &RegistryKey, count: usize) {
        self.emit(Event::RepositoriesFound {
            registry: registry.clone(),
            count: count as u64,
        });
    }
}

/// Says nothing.
#[derive(Debug, Clone, Copy, Default)]
struct Silent;

impl Observer for Silent {}

impl CallContext {
    /// A run that nothing ends and nobody watches; `seed` decides every random wait.
    pub fn new(seed: u64) -> Self {
        Self {
            cancel: CancellationToken::new(),
            deadline: None,
            chance: Arc::new(Mutex::new(fastrand::Rng::with_seed(seed))),
            observer: Arc::new(Silent),
        }
    }

    /// Makes no new call once the token is cancelled.
    #[must_use]
    pub fn with_cancel(mut self, cancel: CancellationToken) -> Self {
        self.cancel = cancel;
        self
    }

    /// Makes no new call from this moment on.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Option<Instant>) -> Self {
        self.deadline = deadline;
        self
    }

    /// Tells this observer what happens.
    #[must_use]
    pub fn with_observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = observer;
        self
    }

    /// The token that ends the run.
    pub fn cancel(&self) -> &CancellationToken {
        &self.cancel
    }

    /// The moment that ends the run.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    pub(super) fn observer(&self) -> &dyn Observer {
        &*self.observer
    }

    /// A wait between nothing and `wait`, each as likely.
    pub(super) fn jitter(&self, wait: Duration) -> Duration {
        let mut chance = self.chance.lock().unwrap_or_else(PoisonError::into_inner);
        wait.mul_f64(chance.f64())
    }

    /// Whether new calls may still be made.
    pub fn check(&self) -> Result<(), RegistryError> {
        if self.cancel.is_cancelled() {
            Err(RegistryError::new(
                Kind::Cancelled,
                "no new calls after the interrupt",
            ))
        } else if self.deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            Err(deadline_over())
        } else {
            Ok(())
        }
    }

    /// Waits for `until`, unless the run ends first.
    pub(super) async fn wait_for<T>(&self, until: impl Future<Output = T>) -> Result<T, RegistryError> {
        self.check()?;
        let run_ends = async {
            match self.deadline {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => self.check().and(Err(deadline_over())),
            () = run_ends => Err(deadline_over()),
            done = until => Ok(done),
        }
    }
}

fn deadline_over() -> RegistryError {
    RegistryError::new(Kind::DeadlineOver, "no new calls after the time given to the run")
}

impl fmt::Debug for CallContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallContext")
            .field("is_cancelled", &self.cancel.is_cancelled())
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}
