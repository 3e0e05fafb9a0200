//! The plan file: what the user wants, read and checked before anything is asked of a registry.
//!
//! Text goes through [`crate::yaml`] into a tree, through `file` into the structs of the file, and through `check`
//! into a [`Plan`], in which every pattern is compiled, every variable is filled in and every name is valid.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;

use crate::diagnostic::{Diagnostic, Span};
use crate::model::{AccountId, Digest, Region, RegistryKey, Tag};

mod check;
mod expression;
mod file;
mod glob;
mod interpolate;
mod load;
mod map;
pub mod rank;
mod reader;
mod reads;
mod refusal;
mod report;
mod repositories;
mod schema;
mod select;
mod target;
#[cfg(test)]
mod testing;
mod var_file;
mod version;

pub use check::VariableInputs;
pub use glob::Glob;
pub use load::{Loaded, PlanInput, load};
pub use map::TagMap;
pub use reads::RepositoryReads;
pub use refusal::Refusal;
pub use repositories::RepositorySet;
pub use schema::schema;
pub use select::{Moment, Pattern, Selector};
pub use target::Template;
pub use version::VersionPattern;

/// One or several plan files, checked and ready to be planned.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The name shown in every output.
    pub name: Option<String>,
    /// The files it was read from, in the order they were given.
    pub sources: Vec<PlanSource>,
    /// Every variable with the value that holds.
    pub variables: BTreeMap<String, String>,
    /// The registries, sorted by name; exactly one named `default` where the file declares none.
    pub registries: Vec<Registry>,
    /// What may not happen.
    pub policy: Policy,
    /// The rules, in the order they are written.
    pub rules: Vec<Rule>,
}

/// A plan file that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanSource {
    /// The path as it was given; `-` for standard input.
    pub path: String,
    /// The SHA-256 of its bytes.
    pub digest: Digest,
}

/// An account's registry in one region.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Registry {
    /// Its name in the plan file.
    pub key: RegistryKey,
    /// How it is reached.
    pub access: Access,
}

/// What a plan file says of how a registry is reached; none of it is a secret.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Access {
    /// The region; the ambient one if absent.
    pub region: Option<Region>,
    /// The account that every answer must carry; the caller's own if absent.
    pub account: Option<AccountId>,
    /// A profile of `~/.aws/config`.
    pub profile: Option<String>,
    /// A role to take on.
    pub assume_role: Option<AssumeRole>,
    /// Another endpoint than the region's own.
    pub endpoint: Option<String>,
    /// A ceiling for the pace of `PutImage`, in calls per second.
    pub put_image_per_second: Option<f64>,
}

/// A role to take on before a registry is called.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct AssumeRole {
    /// The role's ARN.
    pub role_arn: String,
    /// The id that the role's trust policy asks for.
    pub external_id: Option<String>,
    /// The name of the session, as `CloudTrail` shows it.
    pub session_name: Option<String>,
    /// How long the credentials last before they are renewed, in seconds; STS's own hour if absent.
    pub duration_s: Option<u32>,
}

/// What a plan may not do, whatever its rules say.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    /// Tags that are never moved or removed.
    pub protect: Vec<Glob>,
    /// What happens to a change of a protected tag.
    pub on_protected: OnProtected,
    /// Limits on the number of changes.
    pub limits: Limits,
    /// Where each limit stands in the plan file, by its key.
    pub limit_spans: BTreeMap<&'static str, Span>,
}

/// The most changes of each kind; no limit where absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// The most tags that may be created.
    pub creates: Option<u64>,
    /// The most tags that may be moved.
    pub moves: Option<u64>,
    /// The most tags that may be removed.
    pub removes: Option<u64>,
}

/// What happens to a change of a protected tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, JsonSchema)]
#[schemars(rename_all = "lowercase")]
pub enum OnProtected {
    /// The plan is refused.
    #[default]
    Fail,
    /// The change is left out.
    Skip,
}

/// Repositories x source tags -> target tags.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Its name, unique in the plan.
    pub name: String,
    /// Where the name stands.
    pub span: Span,
    /// The registries it applies to, sorted.
    pub registries: Vec<RegistryKey>,
    /// The repositories it applies to.
    pub repositories: RepositorySet,
    /// Which tags become which.
    pub mapping: Mapping,
    /// Which source counts when several render to one target.
    pub pick: Pick,
    /// What happens when the target is on another image.
    pub on_existing: OnExisting,
    /// What happens when a source or a repository is not there; where the plan file does not say, a missing exact
    /// source or repository is an error, and a pattern that selects no tag a warning.
    pub on_missing: Option<OnMissing>,
    /// Whether the source tag goes away once every target is proved.
    pub remove_source: bool,
    /// For a target that moves, the tag that its old image gets first.
    pub backup: Vec<Backup>,
    /// The stage; a stage starts when the one before it has fully succeeded.
    pub stage: u32,
    /// Where a target must be now, if it is to change.
    pub expect: Vec<Expect>,
}

/// Which tags become which.
#[derive(Debug, Clone)]
pub enum Mapping {
    /// Every tag that one of the selectors matches becomes every target.
    Select {
        /// A tag is selected if any of these matches it.
        from: Vec<Selector>,
        /// The targets.
        to: Vec<Template>,
    },
    /// Tag by tag, from `map` or `map_file`.
    Map(TagMap),
}

/// The tag that the old image of a moving target gets.
#[derive(Debug, Clone)]
pub struct Backup {
    /// The target that moves.
    pub target: Tag,
    /// The tag its old image gets.
    pub tag: Tag,
    /// Where it stands.
    pub span: Span,
}

/// Where a target must be now.
#[derive(Debug, Clone)]
pub struct Expect {
    /// The target.
    pub target: Tag,
    /// Where it must be.
    pub place: Expected,
    /// Where this stands.
    pub span: Span,
}

/// Where a target must be now, if it is to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// It must not exist.
    Absent,
    /// It must be on this digest.
    Digest(Digest),
    /// It must be on the image that this tag is on.
    Tag(Tag),
}

/// Which source counts when several with different images render to one target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, JsonSchema)]
#[schemars(rename_all = "lowercase")]
pub enum Pick {
    /// None: it is an error.
    #[default]
    Only,
    /// The one whose image was pushed last.
    Newest,
    /// The one with the highest version.
    Highest,
}

/// What happens when a target is on another image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, JsonSchema)]
#[schemars(rename_all = "lowercase")]
pub enum OnExisting {
    /// It is moved.
    #[default]
    Move,
    /// It stays.
    Keep,
    /// It is an error.
    Fail,
    /// It is moved only if the picked source ranks above the image it is on.
    Advance,
}

/// What happens when a source or a repository is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema)]
#[schemars(rename_all = "lowercase")]
pub enum OnMissing {
    /// It is an error.
    Fail,
    /// It is a warning.
    Warn,
    /// Nothing is said.
    Ignore,
}

/// What must be read of a repository before rules can be planned on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reads {
    /// These tags, by name, and these images.
    Named {
        /// Sources, targets, backups and expected tags.
        tags: BTreeSet<Tag>,
        /// Images that are selected by digest.
        digests: BTreeSet<Digest>,
    },
    /// Every tag; push times as well if `with_push_times`.
    Whole {
        /// Whether a rule asks when images were pushed.
        with_push_times: bool,
    },
}

/// What one rule makes of one repository.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Every source with every target it renders to.
    pub candidates: Vec<Candidate>,
    /// Exact sources that are not there.
    pub missing: Vec<MissingSource>,
    /// Targets that could not be rendered, or rendered to no valid tag.
    pub problems: Vec<Diagnostic>,
}

/// A source tag and one target it renders to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The source tag; absent if the image is selected by its digest.
    pub source: Option<Tag>,
    /// The image the source is on.
    pub digest: Digest,
    /// What the target is called.
    pub target: Tag,
    /// The source's version, where it has one in the sense of the selector that matched.
    pub version: Option<semver::Version>,
    /// Where the target stands in the plan file: the template, or the row of the map.
    pub span: Span,
}

/// An exact source that is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingSource {
    /// What was asked for: a tag or a digest, as text.
    pub source: String,
    /// What its targets would have been called, as far as that can be said without an image.
    pub targets: Vec<Tag>,
    /// Where the source stands in the plan file.
    pub span: Span,
}
