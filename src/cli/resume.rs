//! Finds the unfinished journal of a run that was asked the same, so that this one carries on with it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::carry_out::{JOURNALS, RunArgs};
use super::connect::Connections;
use super::{CliError, Session, identity};
use crate::apply::journal::{Fate, Journal, Question, Record, ReopenError, find_journals};
use crate::registry::CallContext;

/// An unfinished journal, open for what is left to do.
pub(super) struct Resumed {
    pub(super) journal: Journal,
    pub(super) record: Record,
}

/// The latest unfinished journal that was asked this question, of the accounts that the credentials reach.
///
/// Its run must not live any more: fails if the journal is locked.
pub(super) async fn find(
    session: &Session,
    args: &RunArgs,
    question: &Question,
    connections: &Connections,
    context: &CallContext,
) -> Result<Option<Resumed>, CliError> {
    for path in candidates(args, question)? {
        let Resumed { journal, record } = reopen(session, &path)?;
        // It may have been finished between the look at it and its lock.
        if !record.is_unfinished() {
            continue;
        }
        match identity::check(&record.changeset, connections, context).await {
            Ok(()) => {}
            // It is of another account, so that it was asked something else.
            Err(CliError::Refused { .. }) => continue,
            Err(error) => return Err(error),
        }
        let done = record.fates.iter().filter(|fate| **fate == Fate::Done).count();
        session.printer.note(&format!(
            "An earlier run did not come to its end; it had made {done} of {} changes. Carrying on with {}; \
             `--no-resume` plans anew.\n",
            record.fates.len(),
            path.display()
        ));
        return Ok(Some(Resumed { journal, record }));
    }
    Ok(None)
}

fn candidates(args: &RunArgs, question: &Question) -> Result<Vec<PathBuf>, CliError> {
    let asks_the_same =
        |record: &Record| record.is_unfinished() && record.header.question.is_same_as(question);
    let Some(path) = &args.journal else {
        return find_journals(Path::new(JOURNALS), asks_the_same).map_err(|source| CliError::Read {
            path: JOURNALS.into(),
            source,
        });
    };
    // What is at this place and cannot be carried on with is refused when the journal is created.
    let record = std::fs::read(path)
        .ok()
        .and_then(|bytes| Record::parse(&bytes).ok());
    Ok(record
        .filter(asks_the_same)
        .map(|_| path.clone())
        .into_iter()
        .collect())
}

/// Opens a journal that another run has written, and locks it.
pub(super) fn reopen(session: &Session, path: &Path) -> Result<Resumed, CliError> {
    let clock = Arc::clone(&session.environment.clock);
    match Journal::reopen(path, clock) {
        Ok((journal, record)) => Ok(Resumed { journal, record }),
        Err(ReopenError::File(error)) if error.kind() == std::io::ErrorKind::WouldBlock => {
            Err(CliError::other(
                format!("`{}` is being written by a run that goes on", path.display()),
                "wait for that run, or interrupt it",
            ))
        }
        Err(ReopenError::File(source)) => Err(CliError::Read {
            path: path.to_owned(),
            source,
        }),
        Err(ReopenError::Invalid(error)) => Err(CliError::other(
            format!("`{}`: {error}", path.display()),
            "name a journal that `apply` has written",
        )),
    }
}
