//! Carries a changeset out: each change is made, found made already, or refused as stale.
//!
//! Nothing is decided here. What is written was shown; a tag is read again before it is written, and the write is
//! refused if somebody else has moved the tag. Stage by stage; within a stage repositories side by side; within a
//! repository wave by wave, then the read-back, then the removals.

mod change;
pub mod journal;
mod lookahead;
mod removal;
mod repository;
mod run;

use std::collections::BTreeMap;
use std::time::Duration;

use futures::StreamExt as _;
use tokio::time::Instant;

pub use journal::Journal;
use repository::Work;
use run::Run;

use crate::changeset::Changeset;
use crate::event::{CallCount, ChangeResult, Event, Events, NotAttempted, Outcome};
use crate::model::{RegistryKey, RepositoryName};
use crate::registry::{CallContext, Operation, Registry};

/// How a changeset is carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// How many `PutImage` calls may be in flight at once, in each registry.
    pub parallelism: usize,
    /// What a change that failed or was stale means for the others.
    pub on_error: OnError,
    /// Whether every target is read back after it was written.
    pub verifies: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            parallelism: 16,
            on_error: OnError::Stop,
            verifies: true,
        }
    }
}

/// What a change that failed or was stale means for the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnError {
    /// Nothing further is written.
    #[default]
    Stop,
    /// The others go on, save those that require it and later stages.
    Continue,
}

/// How long calls in flight are awaited after an interrupt.
const GRACE: Duration = Duration::from_secs(4);

/// Carries a changeset out.
///
/// `registries` are those of the changeset, connected and with the identity it names. The run ends early when
/// `context` is cancelled or its deadline is over: no new call is made, calls in flight are awaited for four seconds.
pub async fn apply(
    changeset: &Changeset,
    registries: &BTreeMap<RegistryKey, Registry>,
    options: &Options,
    context: &CallContext,
    events: &Events,
    journal: &Journal,
) -> Outcome {
    let started_at = Instant::now();
    events.emit(Event::ApplyStarted {
        changes: changeset.changes.len() as u64,
    });
    let run = Run::new(changeset, registries, options, context, events, journal);
    let until_grace_is_over = async {
        context.cancel().cancelled().await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        biased;
        () = carry_out(&run) => {}
        () = until_grace_is_over => {}
    }
    let (results, ending) = run.finish();
    Outcome {
        results,
        ending,
        elapsed: started_at.elapsed(),
        calls: count_calls(registries),
    }
}

/// The changes of one repository, by index.
type Repositories<'a> = BTreeMap<&'a RepositoryName, Vec<usize>>;

async fn carry_out(run: &Run<'_>) {
    let mut stages: BTreeMap<u32, BTreeMap<&RegistryKey, Repositories<'_>>> = BTreeMap::new();
    for (index, change) in run.changes.iter().enumerate() {
        let registries = stages.entry(change.stage).or_default();
        let repositories = registries.entry(&change.address.registry).or_default();
        repositories
            .entry(&change.address.repository)
            .or_default()
            .push(index);
    }
    let mut may_go_on = true;
    for registries in stages.into_values() {
        let repositories = registries.values().flat_map(BTreeMap::values);
        let indexes: Vec<usize> = repositories.flatten().copied().collect();
        if may_go_on {
            // Each registry has its own quota, so that none waits for another.
            let registries = registries.into_values();
            futures::future::join_all(registries.map(|repositories| carry_out_in_one(run, repositories)))
                .await;
            may_go_on = indexes.iter().all(|&index| run.has_succeeded(index));
        } else {
            for index in indexes {
                let why = NotAttempted::EarlierFailed;
                run.settle(index, ChangeResult::NotAttempted(why), 0, None);
            }
        }
    }
}

/// Carries out the changes of a stage in one registry.
async fn carry_out_in_one(run: &Run<'_>, repositories: Repositories<'_>) {
    futures::stream::iter(repositories.into_values())
        .map(|indexes| async move {
            if let Some(work) = Work::new(run, &indexes) {
                work.carry_out().await;
            }
        })
        .buffer_unordered(run.repositories_at_once())
        .collect::<()>()
        .await;
}

fn count_calls(registries: &BTreeMap<RegistryKey, Registry>) -> Vec<CallCount> {
    let count = |operation: Operation| {
        let none = CallCount {
            operation: operation.as_str(),
            calls: 0,
            throttled: 0,
            retried: 0,
        };
        registries.values().fold(none, |sum, registry| {
            let counts = registry.counts(operation);
            CallCount {
                calls: sum.calls + counts.calls,
                throttled: sum.throttled + counts.throttled,
                retried: sum.retried + counts.retries,
                ..sum
            }
        })
    };
    let counts = Operation::ALL.into_iter().map(count);
    counts.filter(|count| count.calls > 0).collect()
}
