//! Asks before anything is written: only `yes` is a yes.

use std::io::{self, BufRead as _};

use clap::ValueEnum;
use tokio_util::sync::CancellationToken;

use super::CliError;
use crate::changeset::Approval;
use crate::render::Printer;

/// What is approved without asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum AutoApprove {
    /// New tags only; moves and removals are left out
    Create,
    /// New tags and moves; removals are left out
    Move,
    /// Everything
    All,
}

impl From<AutoApprove> for Approval {
    fn from(approve: AutoApprove) -> Self {
        match approve {
            AutoApprove::Create => Self::Creates,
            AutoApprove::Move => Self::Moves,
            AutoApprove::All => Self::All,
        }
    }
}

/// Nobody can answer: standard input is no terminal.
pub(super) fn cannot_ask() -> CliError {
    CliError::other(
        "standard input is no terminal, so that nobody can be asked",
        "approve with `--auto-approve`, or save the changeset with `plan --out FILE` and run `apply FILE`",
    )
}

/// Asks, and waits for an answer or an interrupt.
pub(super) async fn ask(
    printer: &Printer,
    prompt: &str,
    cancel: &CancellationToken,
) -> Result<bool, CliError> {
    printer.err(prompt);
    let answer = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        io::stdin().lock().read_line(&mut line).map(|_| line)
    });
    let line = tokio::select! {
        biased;
        () = cancel.cancelled() => return Ok(false),
        line = answer => line.map_err(io::Error::other).and_then(|line| line),
    };
    let line = line.map_err(|source| CliError::Read {
        path: "standard input".into(),
        source,
    })?;
    Ok(line.trim() == "yes")
}
