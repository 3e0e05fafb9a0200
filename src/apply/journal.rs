//! What a run did, call by call, on disk before it happens.
//!
//! JSON lines: a header with the whole changeset, then for each change an intent, written before its call is sent,
//! and a result. A run that was killed leaves intents without results; whoever reads the journal asks the registry
//! what became of them.

mod read;
#[cfg(test)]
mod tests;
mod write;

use std::sync::Arc;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use read::{Fate, InvalidJournal, Record, find_journals};
pub(super) use write::Ended;
pub use write::{Journal, ReopenError};

use crate::changeset::file::Document;
use crate::event::Ending;

/// The version of the format that this program writes. Minor versions only add.
pub const FORMAT_VERSION: &str = "1.0";

/// Tells the time.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// One line of a journal.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
#[schemars(title = "A line of an ecr-retag journal")]
pub enum Line {
    /// The first line: what the run set out to do.
    Header(Box<Header>),
    /// A call is about to be sent.
    Intent(Intent),
    /// A change has come to its end.
    Result(ResultLine),
    /// The last line of a run that came to its end.
    Recap(Recap),
    /// Another run carries on from here.
    Resumed(Resumed),
    /// A rollback is about to take back what was done.
    RolledBack(RolledBack),
}

/// What the run set out to do.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Header {
    /// The version of this format.
    pub format_version: String,
    /// The version of ecr-retag.
    pub tool_version: String,
    /// When the run began.
    pub time: String,
    /// What the run was asked: it is carried on only by a run that was asked the same.
    pub question: Question,
    /// The whole changeset.
    pub changeset: Document,
}

/// What a run was asked: plan files, variables, scope, accounts, regions and endpoints.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Question {
    /// Each plan file's path and the SHA-256 of its bytes.
    pub sources: Vec<(String, String)>,
    /// Every variable with its value.
    pub variables: Vec<(String, String)>,
    /// `--target`.
    pub targets: Vec<String>,
    /// `--exclude`.
    pub excludes: Vec<String>,
    /// Name, account, region and endpoint of each registry.
    pub registries: Vec<(String, String, String, String)>,
}

/// A call is about to be sent.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Intent {
    /// The tag, as the changeset writes it.
    pub address: String,
    /// Where the tag was; null if it did not exist.
    pub before: Option<String>,
    /// Where it will be; null if it goes away.
    pub after: Option<String>,
    /// When.
    pub time: String,
}

/// A change has come to its end.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ResultLine {
    /// The tag, as the changeset writes it.
    pub address: String,
    /// Where the tag was; null if it did not exist.
    pub before: Option<String>,
    /// Where it should be; null if it should be gone.
    pub after: Option<String>,
    /// How it ended.
    pub outcome: ResultName,
    /// Whether a call may have taken effect all the same, since its answer was lost.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub in_doubt: bool,
    /// How many times the call was sent.
    pub attempts: u32,
    /// AWS's id of the request.
    pub request_id: Option<String>,
    /// Why it failed, or where the tag is now.
    pub detail: Option<String>,
    /// When.
    pub time: String,
}

/// How a change ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ResultName {
    /// It was made.
    Done,
    /// It was made already.
    AlreadyDone,
    /// Somebody else moved the tag.
    Stale,
    /// It could not be made.
    Failed,
}

/// How the run ended.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Recap {
    /// What brought it to its end.
    pub ending: EndingName,
    /// How many changes were made, or made already.
    pub applied: u64,
    /// How many failed.
    pub failed: u64,
    /// How many were stale.
    pub stale: u64,
    /// How many were not tried.
    pub not_attempted: u64,
    /// When.
    pub time: String,
}

/// What brought a run to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EndingName {
    /// Every change was tried.
    Finished,
    /// A change failed or was stale.
    Stopped,
    /// Everything failed in the same way.
    Hopeless,
    /// `--max-duration` was over.
    OutOfTime,
    /// A signal.
    Interrupted,
}

/// Another run carries on.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Resumed {
    /// The version of ecr-retag.
    pub tool_version: String,
    /// When.
    pub time: String,
}

/// A rollback begins: from here on nobody carries on with this journal.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct RolledBack {
    /// When.
    pub time: String,
}

impl Question {
    /// Whether this asks what the other asks: plan files count by their content, and an account that is not known
    /// yet by its registry.
    pub fn is_same_as(&self, other: &Self) -> bool {
        let contents = |question: &Self| -> Vec<String> {
            let sources = question.sources.iter();
            sources.map(|(_, digest)| digest.clone()).collect()
        };
        let same_registries = self.registries.len() == other.registries.len()
            && self.registries.iter().zip(&other.registries).all(|(one, two)| {
                let same_account = one.1 == two.1 || one.1.is_empty() || two.1.is_empty();
                same_account && (&one.0, &one.2, &one.3) == (&two.0, &two.2, &two.3)
            });
        same_registries
            && contents(self) == contents(other)
            && self.variables == other.variables
            && self.targets == other.targets
            && self.excludes == other.excludes
    }
}

impl EndingName {
    /// Whether the same command carries on with a run that ended so.
    pub fn may_be_carried_on(self) -> bool {
        matches!(self, Self::OutOfTime | Self::Interrupted)
    }
}

impl From<&Ending> for EndingName {
    fn from(ending: &Ending) -> Self {
        match ending {
            Ending::Finished => Self::Finished,
            Ending::Stopped => Self::Stopped,
            Ending::Hopeless { .. } => Self::Hopeless,
            Ending::OutOfTime => Self::OutOfTime,
            Ending::Interrupted => Self::Interrupted,
        }
    }
}

/// The JSON Schema of a journal's lines.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(Line).to_value()
}
