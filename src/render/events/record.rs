//! The shape of the lines.

use schemars::JsonSchema;
use serde::Serialize;

use crate::changeset::file::{ActionName, DiagnosticRecord};

/// The version of these lines. Minor versions only add.
pub const EVENT_FORMAT_VERSION: &str = "1.0";

/// One line of `apply --json`.
///
/// `type` says which one of the members after it is there.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(title = "A line of `ecr-retag apply --json`")]
pub struct EventLine {
    /// When it happened, as RFC 3339 in UTC.
    #[serde(rename = "@timestamp")]
    pub(super) timestamp: String,
    /// How much it matters.
    #[serde(rename = "@level")]
    pub(super) level: LevelName,
    /// What happened, for people.
    #[serde(rename = "@message")]
    pub(super) message: String,
    /// What happened.
    #[serde(rename = "type")]
    pub(super) kind: EventType,
    /// With `version`: what writes these lines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) version: Option<VersionRecord>,
    /// With `planned_change`: the change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) change: Option<PlannedRecord>,
    /// With `change_summary`: how many changes of each kind there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) changes: Option<TotalsRecord>,
    /// With `apply_start`, `apply_complete` and `apply_errored`: the change, and how it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) hook: Option<HookRecord>,
    /// With `apply_progress`: how far the run is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) progress: Option<ProgressRecord>,
    /// With `diagnostic`: a warning or an error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) diagnostic: Option<DiagnosticRecord>,
    /// With `recap`, the last line: how the run went.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) recap: Option<RecapRecord>,
}

/// How much a line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum LevelName {
    Info,
    Warn,
    Error,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum EventType {
    Version,
    PlannedChange,
    ChangeSummary,
    ApplyStart,
    ApplyProgress,
    ApplyComplete,
    ApplyErrored,
    Diagnostic,
    Recap,
}

/// What writes these lines.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(super) struct VersionRecord {
    /// The version of ecr-retag.
    pub(super) tool: String,
    /// The version of these lines; minor versions only add.
    pub(super) format: String,
}

/// A tag of a repository.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(super) struct ResourceRecord {
    /// `REPOSITORY:TAG`, or `NAME/REPOSITORY:TAG` in a plan with several registries.
    pub(super) addr: String,
    /// The registry's name in the plan file.
    pub(super) registry: String,
    /// The repository.
    pub(super) repository: String,
    /// The tag.
    pub(super) tag: String,
}

/// A change that will be made.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(super) struct PlannedRecord {
    /// The tag.
    pub(super) resource: ResourceRecord,
    /// What happens to it.
    pub(super) action: ActionName,
    /// The digest it is on; null if the tag is new.
    pub(super) before: Option<String>,
    /// The digest it will be on; null if the tag goes away.
    pub(super) after: Option<String>,
    /// Why.
    pub(super) reason: String,
    /// The stage.
    pub(super) stage: u32,
}

/// How many changes of each kind there are.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
pub(super) struct TotalsRecord {
    /// Tags that are created.
    pub(super) add: u64,
    /// Tags that are moved.
    pub(super) change: u64,
    /// Tags that are removed.
    pub(super) remove: u64,
}

/// A change that is being made or has come to its end.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(super) struct HookRecord {
    /// The tag.
    pub(super) resource: ResourceRecord,
    /// What happens to it.
    pub(super) action: ActionName,
    /// How it ended; absent at its start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) outcome: Option<OutcomeName>,
    /// How many times its call was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) attempts: Option<u32>,
    /// For a stale tag, the digest it is on; absent if it is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) now: Option<String>,
    /// AWS's code, such as `AccessDeniedException`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) code: Option<String>,
    /// AWS's id of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) request_id: Option<String>,
}

/// How a change ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum OutcomeName {
    Done,
    AlreadyDone,
    Stale,
    Failed,
    NotAttempted,
}

/// How far a run is.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(super) struct ProgressRecord {
    /// Repositories read, or changes that came to their end.
    pub(super) done: u64,
    /// How many there are.
    pub(super) total: u64,
    /// Changes that did not succeed.
    pub(super) failed: u64,
    /// Calls that will be made again.
    pub(super) retries: u64,
    /// How many of them because the registry asked to slow down.
    pub(super) throttled: u64,
    /// Tags written per second, over the last few seconds.
    pub(super) puts_per_second: f64,
    /// How long it will take at this rate, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) remaining_s: Option<f64>,
}

/// How a run went.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(super) struct RecapRecord {
    /// The plan's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    /// What this run has done.
    pub(super) applied: TotalsRecord,
    /// Tags that were right before anything was written.
    pub(super) already_done: u64,
    /// Tags that could not be written.
    pub(super) failed: u64,
    /// Tags that somebody else moved.
    pub(super) stale: u64,
    /// Tags that were not tried.
    pub(super) not_attempted: u64,
    /// How the run ended.
    pub(super) ending: EndingName,
    /// How long it took, in seconds.
    pub(super) elapsed_s: f64,
    /// The calls that were made.
    pub(super) calls: Vec<CallRecord>,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum EndingName {
    Finished,
    Stopped,
    Hopeless,
    OutOfTime,
    Interrupted,
}

/// How often an operation was called.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(super) struct CallRecord {
    /// The operation, such as `PutImage`.
    pub(super) operation: String,
    /// Calls that were sent, attempts included.
    pub(super) calls: u64,
    /// How many of them were throttled.
    pub(super) throttled: u64,
    /// How many of them failed in passing, throttles included, and were made again.
    pub(super) retried: u64,
}

/// The JSON Schema of one line.
pub fn event_schema() -> serde_json::Value {
    schemars::schema_for!(EventLine).to_value()
}
