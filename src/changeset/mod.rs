//! What will be done: decided here, carried out in [`crate::apply`], drawn in [`crate::render`].
//!
//! [`plan_repository`] compares the rules with what one repository holds. [`Draft`] gathers the repositories as
//! they arrive and becomes a [`Changeset`], which carries all that applying it needs.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::diagnostic::{Diagnostic, Severity};
use crate::model::{AccountId, Address, Digest, Region, RegistryKey, Tag};
use crate::plan::{Access, Limits, PlanSource};

mod approve;
mod difference;
mod draft;
mod explain;
mod guard;
mod judge;
mod matching;
mod order;
mod pick;
mod plan;
mod reason;
mod repeat;
mod requirements;
mod rollback;
mod scope;
mod wish;

pub mod file;
#[cfg(test)]
mod properties;

pub use approve::Approval;
pub use difference::{Difference, differences};
pub use draft::Draft;
pub use explain::{Explanation, Fate, RuleStory, explain};
pub use guard::{LimitPassed, check_limits};
pub use matching::{Choice, LeftOut, RuleMatch, SourceMatch, TargetMatch, match_rule};
pub use plan::{Input, RepositoryPlan, images_losing_tags, plan_repository};
pub use reason::{Origin, Reason};
pub use rollback::{Inventories, Made, rollback};
pub use scope::{InvalidScope, Scope};

/// Everything that will be done, and what it was decided from.
#[derive(Debug, Clone, Default)]
pub struct Changeset {
    /// The plan's name.
    pub name: Option<String>,
    /// When it was planned; absent where no clock was given.
    pub created_at: Option<Timestamp>,
    /// The plan files.
    pub sources: Vec<PlanSource>,
    /// Every variable with the value that held.
    pub variables: BTreeMap<String, String>,
    /// Every registry that the plan declares, sorted by name, with the account and region that were found.
    pub registries: Vec<RegistryIdentity>,
    /// The changes, sorted by address.
    pub changes: Vec<Change>,
    /// Targets that are right already; listed only if asked for.
    pub unchanged: Vec<Unchanged>,
    /// How many targets are right already, listed or not.
    pub unchanged_count: u64,
    /// Changes that a rule asks for and that are not made, sorted by address.
    pub skipped: Vec<Skipped>,
    /// The limits of the policy.
    pub limits: Limits,
    /// What there is to say about the plan, in the order of the plan file.
    pub diagnostics: Vec<Diagnostic>,
    /// Whether a registry could not be read completely, so that there may be more to do.
    pub is_incomplete: bool,
}

impl Changeset {
    /// Whether addresses carry the registry's name: exactly when the plan declares more than one.
    pub fn is_qualified(&self) -> bool {
        self.registries.len() > 1
    }

    /// The registries that changes go to.
    pub fn registries_to_change(&self) -> impl Iterator<Item = &RegistryIdentity> {
        let changed: BTreeSet<&RegistryKey> = self
            .changes
            .iter()
            .map(|change| &change.address.registry)
            .collect();
        self.registries
            .iter()
            .filter(move |registry| changed.contains(&registry.key))
    }

    /// Whether anything forbids to save or apply it: an error, a refusal, or something that could not be read.
    pub fn is_errored(&self) -> bool {
        self.is_incomplete || self.diagnostics.iter().any(|d| d.severity != Severity::Warning)
    }
}

/// A registry of the plan: the account and region behind it, and how it is reached.
#[derive(Debug, Clone, PartialEq)]
pub struct RegistryIdentity {
    /// The registry's name in the plan file.
    pub key: RegistryKey,
    /// The account that its answers carry; absent if none did, as for one that holds no repository of the plan.
    pub account: Option<AccountId>,
    /// Its region; absent if it was not even known where to call.
    pub region: Option<Region>,
    /// What the plan file says of how it is reached.
    pub access: Access,
}

/// One tag of one repository that is created, moved or removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The tag.
    pub address: Address,
    /// What happens to it.
    pub action: Action,
    /// The stage; a stage starts when the one before it has fully succeeded.
    pub stage: u32,
    /// The turn within the stage and the repository: a write starts when all of earlier waves are done.
    pub wave: u32,
    /// The rules that ask for it, in the order of the plan file.
    pub rules: Vec<String>,
    /// The tag its image was found under.
    pub source: Option<Tag>,
    /// Tags of the same repository that must be on this change's `before` when it is made: the backup of a move, the
    /// targets of a removed source.
    pub requires: Vec<Tag>,
    /// The moves that this change is made for, if it is a backup and nothing else asks for it.
    pub backup_of: Vec<Tag>,
    /// Why.
    pub reason: Reason,
    /// Whether a rollback can surely take it back.
    pub is_reversible: bool,
}

/// What happens to a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// The tag is new.
    Create {
        /// The image it will be on.
        after: Digest,
    },
    /// The tag is on another image.
    Move {
        /// The image it is on.
        before: Digest,
        /// The image it will be on.
        after: Digest,
    },
    /// The tag goes away.
    Remove {
        /// The image it is on.
        before: Digest,
    },
}

impl Action {
    /// The image the tag is on before.
    pub fn before(self) -> Option<Digest> {
        match self {
            Self::Create { .. } => None,
            Self::Move { before, .. } | Self::Remove { before } => Some(before),
        }
    }

    /// The image the tag is on afterwards.
    pub fn after(self) -> Option<Digest> {
        match self {
            Self::Create { after } | Self::Move { after, .. } => Some(after),
            Self::Remove { .. } => None,
        }
    }

    /// Whether the tag goes away.
    pub fn is_removal(self) -> bool {
        matches!(self, Self::Remove { .. })
    }
}

/// A target that is right already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unchanged {
    /// The tag.
    pub address: Address,
    /// The image it is on; absent for the source of a rename that is gone already.
    pub digest: Option<Digest>,
    /// The rules that ask for it.
    pub rules: Vec<String>,
}

/// A change that a rule asks for and that is not made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// The tag.
    pub address: Address,
    /// The rules that ask for it.
    pub rules: Vec<String>,
    /// Why it is not made.
    pub why: SkipReason,
}

/// Why a change that a rule asks for is not made.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum SkipReason {
    /// The tag exists, and the rule says `on_existing: keep`.
    Kept,
    /// The picked image does not rank above the present one, and the rule says `on_existing: advance`.
    NotAhead,
    /// The tag is protected, and the policy says `on_protected: skip`.
    Protected,
    /// What was approved does not cover it.
    NotApproved,
    /// It needs this tag to be on its image, and that change is not made.
    Requires(Tag),
    /// It is a backup, and the move it is for is not made.
    BackupOf(Tag),
    /// Another source was picked for this target of the source that would be removed.
    NotPicked(Tag),
    /// As a saved changeset says it, in words that this program does not know.
    Saved(String),
}

/// How many changes of each kind there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Tags that are created.
    pub creates: u64,
    /// Tags that are moved.
    pub moves: u64,
    /// Tags that are removed.
    pub removes: u64,
}

impl Counts {
    /// Counts these changes.
    pub fn of<'a>(changes: impl IntoIterator<Item = &'a Change>) -> Self {
        let mut counts = Self::default();
        for change in changes {
            match change.action {
                Action::Create { .. } => counts.creates += 1,
                Action::Move { .. } => counts.moves += 1,
                Action::Remove { .. } => counts.removes += 1,
            }
        }
        counts
    }

    /// The calls of `PutImage` that it takes.
    pub fn puts(self) -> u64 {
        self.creates + self.moves
    }

    /// All changes.
    pub fn total(self) -> u64 {
        self.puts() + self.removes
    }
}
