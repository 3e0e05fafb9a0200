//! A pace: one (registry, operation)'s calls, each at its turn.
//!
//! [`Search`] decides how fast, and is pure; [`Pace`] lets callers wait for their turns.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::search::{Rate, Search};
use super::{CallContext, Kind, Operation, RegistryError};

/// Gives out turns to call one operation of one registry; cheap to clone.
#[derive(Debug, Clone)]
pub struct Pace(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    operation: Operation,
    /// Holds the place at the head of the queue; tokio's mutex is fair, so that turns go in the order they were
    /// asked for.
    head: tokio::sync::Mutex<()>,
    schedule: Mutex<Schedule>,
    /// Wakes the head of the queue when the rate has changed.
    changed: Notify,
    calls: AtomicU64,
    throttled: AtomicU64,
    retries: AtomicU64,
}

#[derive(Debug)]
struct Schedule {
    search: Search,
    /// When the last turn was due.
    last_due: Option<Instant>,
    /// Since when every answer was a throttle.
    stuck_since: Option<Instant>,
}

/// How many calls were made of one operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Calls that were sent, repeated ones included.
    pub calls: u64,
    /// Calls that were answered with a throttle.
    pub throttled: u64,
    /// Calls that failed and were tried again.
    pub retries: u64,
}

/// The right to make one call now.
///
/// Given up unused when dropped: the next caller then gets it.
#[derive(Debug)]
#[must_use = "a turn that is not used is lost"]
pub struct Turn {
    pace: Pace,
    at: Instant,
    is_used: bool,
}

/// Turns that were due but not asked for are kept for at most this long, so that a pause of the callers or a late
/// timer is made up for without a burst.
const CREDIT: Duration = Duration::from_millis(50);

impl Pace {
    /// A pace at this rate, in calls per second, and never above `per_second_max`.
    pub fn new(operation: Operation, rate: Rate, per_second_max: Option<f64>) -> Self {
        Self(Arc::new(Shared {
            operation,
            head: tokio::sync::Mutex::new(()),
            schedule: Mutex::new(Schedule {
                search: Search::new(rate, per_second_max),
                last_due: None,
                stuck_since: None,
            }),
            changed: Notify::new(),
            calls: AtomicU64::new(0),
            throttled: AtomicU64::new(0),
            retries: AtomicU64::new(0),
        }))
    }

    /// Waits for a turn.
    ///
    /// Fails with [`Kind::Cancelled`] or [`Kind::DeadlineOver`] if the run ends first. Whoever waits already feels
    /// a slow-down at once.
    pub async fn turn(&self, context: &CallContext) -> Result<Turn, RegistryError> {
        let at = context.wait_for(self.wait()).await?;
        Ok(Turn {
            pace: self.clone(),
            at,
            is_used: false,
        })
    }

    async fn wait(&self) -> Instant {
        if let Some(now) = self.turn_at_once() {
            return now;
        }
        let (_head, mut has_waited) = match self.0.head.try_lock() {
            Ok(head) => (head, false),
            Err(_) => (self.0.head.lock().await, true),
        };
        loop {
            // Registered before the schedule is read, so that no change is missed in between.
            let changed = self.0.changed.notified();
            let turn = self.schedule().take(Instant::now(), has_waited);
            let due = match turn {
                Ok(now) => return now,
                Err(due) => due,
            };
            has_waited = true;
            tokio::select! {
                () = tokio::time::sleep_until(due) => {}
                () = changed => {}
            }
        }
    }

    /// A turn without a queue, where the rate has no limit.
    fn turn_at_once(&self) -> Option<Instant> {
        let now = Instant::now();
        self.schedule().search.interval().is_none().then_some(now)
    }

    /// The calls per second that are allowed now; infinite while nothing was throttled and nothing limits it.
    pub fn per_second(&self) -> f64 {
        self.schedule().search.per_second()
    }

    /// The calls made so far.
    pub fn counts(&self) -> Counts {
        Counts {
            calls: self.0.calls.load(Ordering::Relaxed),
            throttled: self.0.throttled.load(Ordering::Relaxed),
            retries: self.0.retries.load(Ordering::Relaxed),
        }
    }

    /// Since when no call got through, if the last answers were throttles.
    pub fn stuck_since(&self) -> Option<Instant> {
        self.schedule().stuck_since
    }

    /// The operation whose pace it is.
    pub fn operation(&self) -> Operation {
        self.0.operation
    }

    pub(super) fn count_retry(&self) {
        self.0.retries.fetch_add(1, Ordering::Relaxed);
    }

    fn schedule(&self) -> MutexGuard<'_, Schedule> {
        self.0.schedule.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Schedule {
    /// Takes the next turn if it is due, else says when it will be.
    fn take(&mut self, now: Instant, has_waited: bool) -> Result<Instant, Instant> {
        let Some(interval) = self.search.interval() else {
            return Ok(now);
        };
        let due = match self.last_due {
            Some(last) => last + interval,
            None => now,
        };
        if due > now {
            return Err(due);
        }
        let earliest = now.checked_sub(CREDIT).unwrap_or(now);
        self.last_due = Some(due.max(earliest));
        self.search.on_turn(now, has_waited);
        Ok(now)
    }

    fn give_back(&mut self) {
        if let (Some(last), Some(interval)) = (self.last_due, self.search.interval()) {
            self.last_due = last.checked_sub(interval);
        }
    }
}

impl Turn {
    /// Learns from the answer to the call that this turn was used for.
    pub(super) fn settle<T>(mut self, answer: &Result<T, RegistryError>) {
        self.is_used = true;
        let now = Instant::now();
        let shared = &self.pace.0;
        shared.calls.fetch_add(1, Ordering::Relaxed);
        let mut schedule = self.pace.schedule();
        match answer {
            Err(error) if error.kind() == Kind::Throttled => {
                shared.throttled.fetch_add(1, Ordering::Relaxed);
                schedule.stuck_since.get_or_insert(now);
                schedule.search.on_throttle(now, self.at);
                drop(schedule);
                shared.changed.notify_one();
            }
            // Nobody knows whether the service counted a call that got no answer.
            Err(error) if error.status().is_none() => {}
            Ok(_) | Err(_) => {
                schedule.stuck_since = None;
                schedule.search.on_success(now);
            }
        }
    }

    /// When it was given.
    pub fn given_at(&self) -> Instant {
        self.at
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if !self.is_used {
            self.pace.schedule().give_back();
            self.pace.0.changed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests;
