//! The saved changeset: what `plan --out` writes, a reviewer reads and `apply` carries out.
//!
//! Its `plan_digest` covers every change, its requirements and the limits of the policy, so that a file that was
//! edited by hand is found out.

use std::collections::BTreeMap;
use std::io;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Action, Change, Changeset, Counts, Unchanged};
use crate::diagnostic::{Diagnostic, Sources};
use crate::model::{Address, Digest, Tag};

mod access;
mod digest;
mod read;

pub use access::AccessRecord;
pub use digest::plan_digest;

/// The version of the format that this program writes. Minor versions only add.
pub const FORMAT_VERSION: &str = "1.0";

/// A changeset as JSON, sorted by address.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "A saved changeset of ecr-retag")]
pub struct Document {
    /// The version of this format: a reader refuses another major version, and minor versions only add.
    pub format_version: String,
    /// The version of ecr-retag that wrote the file.
    pub tool_version: String,
    /// The SHA-256 over every change, its requirements and the limits.
    pub plan_digest: String,
    /// When the changes were planned, as RFC 3339.
    pub created_at: Option<String>,
    /// The plan's name.
    pub name: Option<String>,
    /// The plan files.
    pub sources: Vec<SourceRecord>,
    /// Every variable with the value that held.
    pub variables: BTreeMap<String, String>,
    /// Every registry of the plan, with the account and region that were found.
    pub registries: Vec<RegistryRecord>,
    /// The changes, sorted by address.
    pub resource_changes: Vec<ChangeRecord>,
    /// Changes that a rule asks for and that are not made.
    #[serde(default)]
    pub skipped_changes: Vec<SkippedRecord>,
    /// The limits of the policy.
    pub limits: LimitsRecord,
    /// What there is to say about the plan.
    pub diagnostics: Vec<DiagnosticRecord>,
    /// How many changes of each kind there are.
    pub summary: Summary,
    /// Whether there are errors, so that nothing can be applied.
    pub errored: bool,
}

/// A plan file that was read.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct SourceRecord {
    /// The path as it was given; `-` for standard input.
    pub path: String,
    /// The SHA-256 of its bytes, in hex.
    pub sha256: String,
}

/// A registry of the plan: the account and region behind it, and how it is reached.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct RegistryRecord {
    /// The name in the plan file.
    pub name: String,
    /// The account: twelve digits; null if no answer said it, so that nothing is changed there.
    pub account: Option<String>,
    /// The region; null if it was not known where to call.
    pub region: Option<String>,
    /// What the plan file says of how the registry is reached; absent where it says nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access: Option<AccessRecord>,
}

/// One tag of one repository.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ChangeRecord {
    /// `REPOSITORY:TAG`, or `NAME/REPOSITORY:TAG` in a plan with several registries.
    pub address: String,
    /// The registry's name in the plan file.
    pub registry: String,
    /// The repository.
    pub repository: String,
    /// The tag.
    pub tag: String,
    /// The stage; a stage starts when the one before it has fully succeeded.
    pub stage: u32,
    /// The turn within the stage and the repository.
    #[serde(default)]
    pub wave: u32,
    /// The rules that ask for it.
    pub rules: Vec<String>,
    /// The tag that its image was found under.
    pub source_tag: Option<String>,
    /// What happens.
    pub change: ActionRecord,
    /// Addresses that must be on this change's `before` when it is made.
    pub requires: Vec<String>,
    /// Addresses of the moves that this change is made for, if it is a backup and nothing else asks for it.
    #[serde(default)]
    pub backup_of: Vec<String>,
    /// Why.
    pub action_reason: String,
    /// Whether a rollback can surely take it back.
    pub reversible: bool,
}

/// What happens to a tag, in the words of terraform's plan JSON.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ActionRecord {
    /// One of `create`, `update`, `delete` and `no-op`.
    pub actions: Vec<ActionName>,
    /// Where the tag is before; null if it does not exist.
    pub before: Option<Place>,
    /// Where it is afterwards; null if it goes away.
    pub after: Option<Place>,
}

/// The name of an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ActionName {
    /// The tag is new.
    Create,
    /// The tag is on another image.
    Update,
    /// The tag goes away.
    Delete,
    /// The tag is right already.
    NoOp,
}

/// The image a tag is on.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Place {
    /// The digest of the image.
    pub digest: String,
}

/// A change that a rule asks for and that is not made.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct SkippedRecord {
    /// The tag.
    pub address: String,
    /// The rules that ask for it.
    pub rules: Vec<String>,
    /// Why it is not made.
    pub reason: String,
}

/// The limits of the policy; null where there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LimitsRecord {
    /// The most tags that may be created.
    pub creates: Option<u64>,
    /// The most tags that may be moved.
    pub moves: Option<u64>,
    /// The most tags that may be removed.
    pub removes: Option<u64>,
}

/// One message about the plan.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct DiagnosticRecord {
    /// `error` or `warning`.
    pub severity: String,
    /// The kind, such as `plan/unknown-key`.
    pub code: String,
    /// What happened, in one line.
    pub summary: String,
    /// What to do about it, and the other places it speaks of.
    pub detail: Option<String>,
    /// The place in the plan file.
    pub range: Option<RangeRecord>,
}

/// A place in a plan file.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct RangeRecord {
    /// The path as it was given.
    pub filename: String,
    /// The first character.
    pub start: PositionRecord,
    /// The character after the last.
    pub end: PositionRecord,
}

/// A position in a plan file.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
pub struct PositionRecord {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// The byte, from 0.
    pub byte: usize,
}

/// How many changes of each kind there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Summary {
    /// Tags that are created.
    pub add: u64,
    /// Tags that are moved.
    pub change: u64,
    /// Tags that are removed.
    pub destroy: u64,
    /// Targets that are right already.
    pub unchanged: u64,
    /// Changes that are not made.
    pub skipped: u64,
    /// The calls of `PutImage` that it takes.
    pub put_image_calls: u64,
}

/// A file is no changeset, or not one that can be applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidChangeset {
    /// It is not JSON, or a member is missing or of the wrong kind.
    #[error("the changeset cannot be read: {0}")]
    Unreadable(String),
    /// It is of a major version that this program does not know.
    #[error("the changeset is of format version {0}, this program reads 1.x")]
    UnknownVersion(String),
    /// Its `plan_digest` is not that of its changes.
    #[error("the changeset was edited: its plan digest is {written}, its changes have {computed}")]
    Edited {
        /// The digest that the file carries.
        written: String,
        /// The digest of its changes.
        computed: String,
    },
}

impl Document {
    /// Writes a changeset down; `sources` are the texts that its diagnostics point into.
    pub fn new(changeset: &Changeset, sources: &Sources) -> Self {
        let is_qualified = changeset.is_qualified();
        let counts = Counts::of(&changeset.changes);
        let mut resource_changes: Vec<ChangeRecord> = changeset
            .changes
            .iter()
            .map(|change| change_record(change, is_qualified))
            .collect();
        resource_changes.extend(
            changeset
                .unchanged
                .iter()
                .map(|unchanged| unchanged_record(unchanged, is_qualified)),
        );
        resource_changes.sort_by(|a, b| a.address.cmp(&b.address));
        Self {
            format_version: FORMAT_VERSION.to_owned(),
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
            plan_digest: plan_digest(changeset).to_string(),
            created_at: changeset.created_at.map(|at| at.to_string()),
            name: changeset.name.clone(),
            sources: changeset
                .sources
                .iter()
                .map(|source| SourceRecord {
                    path: source.path.clone(),
                    sha256: source.digest.to_string().trim_start_matches("sha256:").to_owned(),
                })
                .collect(),
            variables: changeset.variables.clone(),
            registries: changeset
                .registries
                .iter()
                .map(|registry| RegistryRecord {
                    name: registry.key.to_string(),
                    account: registry.account.as_ref().map(ToString::to_string),
                    region: registry.region.as_ref().map(ToString::to_string),
                    access: AccessRecord::new(&registry.access),
                })
                .collect(),
            resource_changes,
            skipped_changes: changeset
                .skipped
                .iter()
                .map(|skipped| SkippedRecord {
                    address: skipped.address.to_text(is_qualified),
                    rules: skipped.rules.clone(),
                    reason: skipped.why.to_string(),
                })
                .collect(),
            limits: LimitsRecord {
                creates: changeset.limits.creates,
                moves: changeset.limits.moves,
                removes: changeset.limits.removes,
            },
            diagnostics: changeset
                .diagnostics
                .iter()
                .map(|d| DiagnosticRecord::new(d, sources))
                .collect(),
            summary: Summary {
                add: counts.creates,
                change: counts.moves,
                destroy: counts.removes,
                unchanged: changeset.unchanged_count,
                skipped: u64::try_from(changeset.skipped.len()).unwrap_or(u64::MAX),
                put_image_calls: counts.puts(),
            },
            errored: changeset.is_errored(),
        }
    }

    /// The document as JSON text with a newline at its end.
    pub fn to_json(&self) -> String {
        // The document holds nothing that JSON cannot: no maps with other keys than text, no odd floats.
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }

    /// Writes what [`Document::to_json`] gives, without holding all of it.
    pub fn write_json(&self, mut to: impl io::Write) -> io::Result<()> {
        serde_json::to_writer_pretty(&mut to, self)?;
        to.write_all(b"\n")
    }

    /// Reads a saved changeset; its digest is not compared yet.
    pub fn parse(text: &str) -> Result<Self, InvalidChangeset> {
        #[derive(Deserialize)]
        struct Version {
            format_version: String,
        }
        let unreadable = |error: serde_json::Error| InvalidChangeset::Unreadable(error.to_string());
        let Version { format_version } = serde_json::from_str(text).map_err(unreadable)?;
        if format_version.split('.').next() != Some("1") {
            return Err(InvalidChangeset::UnknownVersion(
                format_version.escape_debug().to_string(),
            ));
        }
        serde_json::from_str(text).map_err(unreadable)
    }

    /// Turns the document back into a changeset, and compares its digest with its changes.
    pub fn to_changeset(&self) -> Result<Changeset, InvalidChangeset> {
        let changeset = self.read().map_err(InvalidChangeset::Unreadable)?;
        let computed = plan_digest(&changeset).to_string();
        if computed == self.plan_digest {
            Ok(changeset)
        } else {
            let written = self.plan_digest.escape_debug().to_string();
            Err(InvalidChangeset::Edited { written, computed })
        }
    }
}

fn change_record(change: &Change, is_qualified: bool) -> ChangeRecord {
    let name = match change.action {
        Action::Create { .. } => ActionName::Create,
        Action::Move { .. } => ActionName::Update,
        Action::Remove { .. } => ActionName::Delete,
    };
    let neighbours = |tags: &[Tag]| {
        tags.iter()
            .map(|tag| {
                Address {
                    tag: tag.clone(),
                    ..change.address.clone()
                }
                .to_text(is_qualified)
            })
            .collect()
    };
    ChangeRecord {
        address: change.address.to_text(is_qualified),
        registry: change.address.registry.to_string(),
        repository: change.address.repository.to_string(),
        tag: change.address.tag.to_string(),
        stage: change.stage,
        wave: change.wave,
        rules: change.rules.clone(),
        source_tag: change.source.as_ref().map(Tag::to_string),
        change: ActionRecord {
            actions: vec![name],
            before: change.action.before().map(place),
            after: change.action.after().map(place),
        },
        requires: neighbours(&change.requires),
        backup_of: neighbours(&change.backup_of),
        action_reason: change.reason.to_string(),
        reversible: change.is_reversible,
    }
}

fn unchanged_record(unchanged: &Unchanged, is_qualified: bool) -> ChangeRecord {
    ChangeRecord {
        address: unchanged.address.to_text(is_qualified),
        registry: unchanged.address.registry.to_string(),
        repository: unchanged.address.repository.to_string(),
        tag: unchanged.address.tag.to_string(),
        stage: 0,
        wave: 0,
        rules: unchanged.rules.clone(),
        source_tag: None,
        change: ActionRecord {
            actions: vec![ActionName::NoOp],
            before: unchanged.digest.map(place),
            after: unchanged.digest.map(place),
        },
        requires: Vec::new(),
        backup_of: Vec::new(),
        action_reason: "already correct".to_owned(),
        reversible: true,
    }
}

fn place(digest: Digest) -> Place {
    Place {
        digest: digest.to_string(),
    }
}

impl DiagnosticRecord {
    /// Writes a diagnostic down; `sources` are the texts that it points into.
    pub fn new(diagnostic: &Diagnostic, sources: &Sources) -> Self {
        let places = diagnostic
            .labels
            .iter()
            .filter_map(|label| Some((sources.locate(label.span)?, label.text.as_str())));
        let position = |at: crate::diagnostic::Position| PositionRecord {
            line: at.line,
            column: at.column,
            byte: at.byte,
        };
        let mut range = None;
        let mut detail = Vec::new();
        for ((source, start, end), text) in places {
            if range.is_some() {
                detail.push(format!("{}:{}:{}: {text}", source.path, start.line, start.column));
                continue;
            }
            range = Some(RangeRecord {
                filename: source.path.clone(),
                start: position(start),
                end: position(end),
            });
            detail.extend((!text.is_empty()).then(|| text.to_owned()));
        }
        detail.extend(diagnostic.help.iter().map(|help| format!("help: {help}")));
        Self {
            severity: diagnostic.severity.as_str().to_owned(),
            code: diagnostic.code.as_str().to_owned(),
            summary: diagnostic.message.clone(),
            detail: (!detail.is_empty()).then(|| detail.join("\n")),
            range,
        }
    }
}

/// The JSON Schema of saved changesets.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(Document).to_value()
}
