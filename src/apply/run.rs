//! What all changes of one run share: results, the decision to stop, and how much goes on at once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Semaphore;

use super::journal::{self, Journal};
use super::{OnError, Options};
use crate::changeset::{Change, Changeset};
use crate::event::{ChangeResult, Ending, Event, Events, Failure, NotAttempted};
use crate::model::RegistryKey;
use crate::registry::{CallContext, Kind, Registry, RegistryError};

/// So many failures of one code, with no success between them, and everything is taken to fail.
const SAME_FAILURES_MAX: u32 = 10;

pub(super) struct Run<'a> {
    pub(super) changes: &'a [Change],
    pub(super) options: &'a Options,
    /// The run's context; cancelled as well when the run stops because of a failure.
    pub(super) context: CallContext,
    registries: &'a BTreeMap<RegistryKey, Registry>,
    lanes: BTreeMap<&'a RegistryKey, Lanes>,
    outer: &'a CallContext,
    events: &'a Events,
    journal: &'a Journal,
    state: Mutex<State>,
}

/// How much goes on at once in one registry.
pub(super) struct Lanes {
    /// Changes that are being prepared, in the order of the changeset, so that reads can look ahead.
    pub(super) admission: Semaphore,
    /// `PutImage` calls in flight.
    pub(super) puts: Semaphore,
    /// Reads in flight.
    pub(super) reads: Semaphore,
}

struct State {
    results: Vec<Option<ChangeResult>>,
    /// How many calls of a change were sent and may have taken effect, without an answer that says so.
    open: BTreeMap<usize, u32>,
    ending: Option<Ending>,
    same_failures: (Option<String>, u32),
}

impl<'a> Run<'a> {
    pub(super) fn new(
        changeset: &'a Changeset,
        registries: &'a BTreeMap<RegistryKey, Registry>,
        options: &'a Options,
        context: &'a CallContext,
        events: &'a Events,
        journal: &'a Journal,
    ) -> Self {
        let parallelism = options.parallelism.max(1);
        let lanes = || Lanes {
            admission: Semaphore::new(parallelism * 4),
            puts: Semaphore::new(parallelism),
            reads: Semaphore::new((parallelism * 4).max(16)),
        };
        Self {
            changes: &changeset.changes,
            options,
            context: context
                .clone()
                .with_cancel(context.cancel().child_token())
                .with_observer(Arc::new(events.clone())),
            registries,
            lanes: registries.keys().map(|key| (key, lanes())).collect(),
            outer: context,
            events,
            journal,
            state: Mutex::new(State {
                results: vec![None; changeset.changes.len()],
                open: BTreeMap::new(),
                ending: None,
                same_failures: (None, 0),
            }),
        }
    }

    /// Enough repositories that changes are always waiting for their turn, however few each of them has.
    pub(super) fn repositories_at_once(&self) -> usize {
        self.options.parallelism.max(1) * 8
    }

    pub(super) fn registry(&self, key: &RegistryKey) -> Option<(&'a Registry, &Lanes)> {
        Some((self.registries.get(key)?, self.lanes.get(key)?))
    }

    pub(super) fn start(&self, change: &Change) {
        self.events.emit(Event::ChangeStarted {
            address: change.address.clone(),
        });
    }

    /// Notes in the journal that the call of this change is about to be sent.
    pub(super) fn intend(&self, index: usize) -> Result<(), RegistryError> {
        let Some(change) = self.changes.get(index) else {
            return Ok(());
        };
        self.journal.intent(change).map_err(|error| {
            RegistryError::new(
                Kind::Configuration,
                format!("the journal cannot be written: {error}"),
            )
            .with_help("make room or choose another place with `--journal`, then run the command again")
        })?;
        *self.state().open.entry(index).or_default() += 1;
        Ok(())
    }

    /// Notes that ECR refused the last call, so that it has surely not taken effect; an earlier one may have.
    pub(super) fn was_refused(&self, index: usize) {
        let mut state = self.state();
        if let Some(calls) = state.open.get_mut(&index) {
            *calls -= 1;
            if *calls == 0 {
                state.open.remove(&index);
            }
        }
    }

    /// Whether a call of this change may have taken effect without an answer that says so.
    pub(super) fn is_open(&self, index: usize) -> bool {
        self.state().open.contains_key(&index)
    }

    /// Notes how a change ended, and whether that ends the run.
    pub(super) fn settle(&self, index: usize, result: ChangeResult, attempts: u32, request_id: Option<&str>) {
        let Some(change) = self.changes.get(index) else {
            return;
        };
        // The last call was answered; one before it may have taken effect, and nobody could find out.
        let is_in_doubt = !result.is_success() && self.is_open(index);
        let ended = journal::Ended {
            result: &result,
            attempts,
            request_id,
            is_in_doubt,
        };
        let journaled = match &result {
            ChangeResult::NotAttempted(_) => Ok(()),
            _ => self.journal.result(change, &ended),
        };
        if let Err(error) = journaled {
            let message = format!("the journal cannot be written: {error}");
            self.stop(Ending::Hopeless(Failure {
                message,
                code: None,
                request_id: None,
                help: None,
            }));
        }
        let is_failure = matches!(result, ChangeResult::Failed(_) | ChangeResult::Stale { .. });
        {
            let mut state = self.state();
            state.open.remove(&index);
            if let Some(slot) = state.results.get_mut(index) {
                *slot = Some(result.clone());
            }
        }
        if is_failure && self.options.on_error == OnError::Stop {
            self.stop(Ending::Stopped);
        }
        self.events.emit(Event::ChangeFinished {
            address: change.address.clone(),
            result,
            attempts,
        });
    }

    /// Notes that a tag which was written has not stayed where it was put.
    pub(super) fn overturn(&self, index: usize, result: ChangeResult) {
        self.settle(index, result, 0, None);
    }

    /// Notes that a change failed with this error, and ends the run if all others would fail in the same way.
    pub(super) fn fail(&self, index: usize, error: &RegistryError) {
        match error.kind() {
            Kind::Cancelled | Kind::DeadlineOver => {
                self.settle(index, ChangeResult::NotAttempted(NotAttempted::Stopped), 0, None);
                return;
            }
            Kind::Expired | Kind::Configuration | Kind::WrongAccount => {
                self.stop(Ending::Hopeless(to_failure(error)));
            }
            _ => {
                let code = error.code().unwrap_or(error.kind().as_str()).to_owned();
                let mut state = self.state();
                let (last, count) = &mut state.same_failures;
                *count = if last.as_deref() == Some(&code) {
                    *count + 1
                } else {
                    1
                };
                *last = Some(code);
                let is_hopeless = *count >= SAME_FAILURES_MAX;
                drop(state);
                if is_hopeless {
                    self.stop(Ending::Hopeless(to_failure(error)));
                }
            }
        }
        let result = ChangeResult::Failed(to_failure(error));
        self.settle(index, result, error.attempts(), error.request_id());
    }

    pub(super) fn succeed(&self) {
        self.state().same_failures = (None, 0);
    }

    pub(super) fn stop(&self, why: Ending) {
        let mut state = self.state();
        if state.ending.is_none() {
            state.ending = Some(why.clone());
            drop(state);
            self.context.cancel().cancel();
            self.events.emit(Event::Stopping { why });
        }
    }

    pub(super) fn result(&self, index: usize) -> Option<ChangeResult> {
        self.state().results.get(index).cloned().flatten()
    }

    pub(super) fn has_succeeded(&self, index: usize) -> bool {
        self.state()
            .results
            .get(index)
            .is_some_and(|result| result.as_ref().is_some_and(ChangeResult::is_success))
    }

    pub(super) fn finish(self) -> (Vec<ChangeResult>, Ending) {
        let is_out_of_time = self
            .outer
            .deadline()
            .is_some_and(|deadline| deadline <= tokio::time::Instant::now());
        let is_cancelled = self.outer.cancel().is_cancelled();
        let state = self.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        let left_open = || {
            ChangeResult::Failed(Failure {
                message: "the run ended while its call was under way; the tag may have been written"
                    .to_owned(),
                code: None,
                request_id: None,
                help: Some("run the same command again: it finds out".to_owned()),
            })
        };
        let results: Vec<ChangeResult> = state
            .results
            .into_iter()
            .enumerate()
            .map(|(index, result)| match result {
                Some(result) => result,
                None if state.open.contains_key(&index) => left_open(),
                None => ChangeResult::NotAttempted(NotAttempted::Stopped),
            })
            .collect();
        let is_complete = results.iter().all(ChangeResult::is_success);
        let ending = match state.ending {
            _ if is_complete => Ending::Finished,
            Some(ending) => ending,
            None if is_cancelled => Ending::Interrupted,
            None if is_out_of_time => Ending::OutOfTime,
            None => Ending::Finished,
        };
        (results, ending)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn to_failure(error: &RegistryError) -> Failure {
    Failure {
        message: error.to_string(),
        code: error.code().map(ToOwned::to_owned),
        request_id: error.request_id().map(ToOwned::to_owned),
        help: error.help(),
    }
}
