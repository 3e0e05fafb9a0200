//! SIGINT and SIGTERM: the first ends a run in good order, the second at once.

use std::sync::atomic::{AtomicU8, Ordering};

use tokio_util::sync::CancellationToken;

use super::{CliError, Exit};

/// Listens for signals while a command runs.
#[derive(Debug, Default)]
pub(super) struct Interrupt {
    cancel: CancellationToken,
    first: AtomicU8,
}

impl Interrupt {
    /// Is cancelled by the first signal.
    pub(super) fn token(&self) -> &CancellationToken {
        &self.cancel
    }

    /// The exit code of the signal that came, if one did.
    pub(super) fn exit(&self) -> Option<Exit> {
        match self.first.load(Ordering::Relaxed) {
            0 => None,
            code if code == Exit::Terminated.code() => Some(Exit::Terminated),
            _ => Some(Exit::Interrupted),
        }
    }

    /// Runs a command that only reads: whatever a signal made it say, it ends with the code of the signal.
    pub(super) async fn run(
        &self,
        work: impl Future<Output = Result<Exit, CliError>>,
    ) -> Result<Exit, CliError> {
        match self.watch(Box::pin(work)).await {
            Ok(Err(error)) => self.exit().ok_or(error),
            Ok(done) => done,
            Err(exit) => Ok(exit),
        }
    }

    /// Runs `work` to its end, or until a second signal comes.
    pub(super) async fn watch<T>(&self, work: impl Future<Output = T>) -> Result<T, Exit> {
        let mut work = std::pin::pin!(work);
        tokio::select! {
            biased;
            done = &mut work => return Ok(done),
            exit = signal() => {
                self.first.store(exit.code(), Ordering::Relaxed);
                self.cancel.cancel();
            }
        }
        tokio::select! {
            biased;
            done = work => Ok(done),
            exit = signal() => Err(exit),
        }
    }
}

/// Waits for SIGINT or SIGTERM.
#[cfg(unix)]
async fn signal() -> Exit {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => Exit::Interrupted,
        _ = terminate.recv() => Exit::Terminated,
    }
}

/// Waits for Ctrl-C.
#[cfg(not(unix))]
async fn signal() -> Exit {
    match tokio::signal::ctrl_c().await {
        Ok(()) => Exit::Interrupted,
        Err(_) => std::future::pending().await,
    }
}
