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
    context: CallContext,
    registries: &'a BTreeMap<RegistryKey, Registry>,
    lanes: BTreeMap<&'a RegistryKey, Lanes>,
    outer: &'a CallContext,
    events: &'a Events,
    journal: &'a Journal,
    state: Mutex<State>,
}

/// What goes on in one registry: when it ends, and how much at once.
pub(super) struct Lanes {
    /// The run's context; cancelled as well when this registry is given up.
    pub(super) context: CallContext,
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
    /// The last code that changes of a registry failed with, and how often without a success between.
    same_failures: BTreeMap<RegistryKey, (String, u32)>,
    /// Registries that were given up, and why.
    given_up: BTreeMap<RegistryKey, Failure>,
}

impl<'a> Run<'a> {
    pub(super) fn new(
        changeset: &'a Changeset,
        registries: &'a BTreeMap<RegistryKey, Registry>,
        options: &'a Options,
        outer: &'a CallContext,
        events: &'a Events,
        journal: &'a Journal,
    ) -> Self {
        let parallelism = options.parallelism.max(1);
        let context = outer
            .clone()
            .with_cancel(outer.cancel().child_token())
            .with_observer(Arc::new(events.clone()));
        let lanes = || Lanes {
            context: context.clone().with_cancel(context.cancel().child_token()),
            admission: Semaphore::new(parallelism * 4),
            puts: Semaphore::new(parallelism),
            reads: Semaphore::new((parallelism * 4).max(16)),
        };
        Self {
            changes: &changeset.changes,
            options,
            registries,
            lanes: registries.keys().map(|key| (key, lanes())).collect(),
            context,
            outer,
            events,
            journal,
            state: Mutex::new(State {
                results: vec![None; changeset.changes.len()],
                open: BTreeMap::new(),
                ending: None,
                same_failures: BTreeMap::new(),
                given_up: BTreeMap::new(),
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
            let error = RegistryError::new(
                Kind::Configuration,
                format!("the journal cannot be written: {error}"),
            )
            .with_help("make room or choose another place with `--journal`, then run the command again");
            self.stop_hopeless(to_failure(&error));
            error
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

    /// Notes how a change ended; one that did not succeed ends the run with `--on-error stop`.
    pub(super) fn settle(&self, index: usize, result: ChangeResult, attempts: u32, request_id: Option<&str>) {
        let is_failure = matches!(result, ChangeResult::Failed(_) | ChangeResult::Stale { .. });
        self.note(index, result, attempts, request_id);
        if is_failure && self.options.on_error == OnError::Stop {
            self.stop(Ending::Stopped);
        }
    }

    fn note(&self, index: usize, result: ChangeResult, attempts: u32, request_id: Option<&str>) {
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
            self.stop_hopeless(Failure {
                message,
                code: None,
                request_id: None,
                help: None,
            });
        }
        {
            let mut state = self.state();
            state.open.remove(&index);
            if let Some(slot) = state.results.get_mut(index) {
                *slot = Some(result.clone());
            }
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

    /// Notes that a change failed with this error; if all others of its registry would fail in the same way, they are
    /// not tried, and those of other registries go on.
    pub(super) fn fail(&self, index: usize, error: &RegistryError) {
        let Some(change) = self.changes.get(index) else {
            return;
        };
        let registry = &change.address.registry;
        let is_hopeless = match error.kind() {
            Kind::Cancelled | Kind::DeadlineOver => {
                return self.settle(index, ChangeResult::NotAttempted(NotAttempted::Stopped), 0, None);
            }
            Kind::Expired | Kind::Configuration | Kind::WrongAccount => true,
            _ => self.count_failure(registry, error) >= SAME_FAILURES_MAX,
        };
        let result = ChangeResult::Failed(to_failure(error));
        if is_hopeless {
            self.give_up(registry, to_failure(error));
            self.note(index, result, error.attempts(), error.request_id());
        } else {
            self.settle(index, result, error.attempts(), error.request_id());
        }
    }

    /// Counts the failures of a registry that are alike, with no success between them.
    fn count_failure(&self, registry: &RegistryKey, error: &RegistryError) -> u32 {
        let code = error.code().unwrap_or(error.kind().as_str());
        let mut state = self.state();
        let (last, count) = state.same_failures.entry(registry.clone()).or_default();
        if last != code {
            (*last, *count) = (code.to_owned(), 0);
        }
        *count += 1;
        *count
    }

    pub(super) fn succeed(&self, registry: &RegistryKey) {
        self.state().same_failures.remove(registry);
    }

    /// Makes no new calls to a registry.
    fn give_up(&self, registry: &RegistryKey, why: Failure) {
        if let Some(lanes) = self.lanes.get(registry) {
            lanes.context.cancel().cancel();
        }
        let mut state = self.state();
        state.given_up.entry(registry.clone()).or_insert(why);
        let ending = self.ending_of(&state.given_up);
        let is_all = state.given_up.len() == self.registries.len();
        drop(state);
        if let Some(why) = ending.filter(|_| is_all) {
            self.events.emit(Event::Stopping { why });
        }
    }

    /// How a run ends that gave up these registries, if any; the first failure speaks for all.
    fn ending_of(&self, given_up: &BTreeMap<RegistryKey, Failure>) -> Option<Ending> {
        let failure = given_up.values().next()?.clone();
        let is_all = given_up.len() == self.registries.len();
        let registries = if is_all {
            Vec::new()
        } else {
            given_up.keys().cloned().collect()
        };
        Some(Ending::Hopeless { registries, failure })
    }

    fn stop_hopeless(&self, failure: Failure) {
        let registries = Vec::new();
        self.stop(Ending::Hopeless { registries, failure });
    }

    fn stop(&self, why: Ending) {
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
        let given_up = self.ending_of(&self.state().given_up);
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
            None => given_up.unwrap_or(Ending::Finished),
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
