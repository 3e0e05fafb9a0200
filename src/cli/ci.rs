//! What GitHub is told of a command: the outputs of its step, and a page for the step's summary.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{CliError, Exit, Session};
use crate::changeset::{Changeset, Counts};
use crate::model::Digest;
use crate::render::GithubOutputs;

/// What is known of a command by its end.
#[derive(Debug, Default)]
pub(super) struct GithubReport(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    counts: Option<Counts>,
    plan_digest: Option<Digest>,
    changeset_path: Option<String>,
    page: Option<String>,
}

impl GithubReport {
    /// Remembers a changeset, its digest and its page.
    pub(super) fn planned(&self, changeset: &Changeset, plan_digest: Digest, page: String) {
        let mut known = self.known();
        known.counts = Some(Counts::of(&changeset.changes));
        known.plan_digest = Some(plan_digest);
        known.page = Some(page);
    }

    /// Remembers where the changeset is saved.
    pub(super) fn saved(&self, path: &Path) {
        self.known().changeset_path = Some(path.display().to_string());
    }

    /// Remembers the page of what was done, which says more than that of the plan.
    pub(super) fn applied(&self, page: String) {
        self.known().page = Some(page);
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session {
    /// Writes the step's outputs and summary, if GitHub runs the command and it was about a changeset.
    pub(super) fn tell_github(&self, done: &Result<Exit, CliError>) -> Result<(), CliError> {
        let Some(report) = &self.github else {
            return Ok(());
        };
        let known = report.known();
        if known.counts.is_none() && matches!(done, Ok(Exit::Done)) {
            return Ok(());
        }
        let reason = match done {
            Ok(exit) => exit.failure().map(str::to_owned),
            Err(error) => Some(error.to_string()),
        };
        let outputs = GithubOutputs {
            counts: known.counts,
            plan_digest: known.plan_digest.as_ref(),
            changeset_path: known.changeset_path.as_deref(),
            failure_reason: reason.as_deref(),
        };
        if let Some(path) = self.environment.get("GITHUB_OUTPUT") {
            append(path, &outputs.to_text())?;
        }
        if let (Some(path), Some(page)) = (self.environment.get("GITHUB_STEP_SUMMARY"), &known.page) {
            append(path, page)?;
        }
        Ok(())
    }
}

/// Other steps write to the same file.
fn append(path: &str, text: &str) -> Result<(), CliError> {
    let write = || {
        OpenOptions::new()
            .append(true)
            .create(true)
            .open(path)?
            .write_all(text.as_bytes())
    };
    write().map_err(|source| CliError::Write {
        path: path.into(),
        source,
    })
}
