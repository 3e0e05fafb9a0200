//! Fills a state: from a small YAML file, or from the tag history of a project.
//!
//! ```yaml
//! repositories:
//!   - names: [shop/api, shop/web]              # each gets images of its own
//!     image: docker                            # the kind of its images
//!     mutability: immutable-with-exclusion
//!     exclusion_filters: [latest, "dev-*"]
//!     histories:
//!       - scheme: { versions: { prefix: v, ranges: [1.0.0..1.0.4, 1.1.0-rc.1..1.1.0-rc.3], floating: [major, minor] } }
//!         also: [latest]                       # moves along with each release
//!         begin: 2024-02-01T09:00:00Z
//!         every_hours: 72
//!       - scheme: { dated: { format: "RELEASE.%Y-%m-%dT%H-%M-%SZ", count: 40 } }
//!       - scheme: { numbered: { name: "build-{n}-g{sha}", from: 100, count: 50 } }
//!     images: [{ name: hotfix, image: oci, pushed_at: 2024-05-01T00:00:00Z, tags: [hotfix-1] }]
//!     tags: { stable: v1.0.4 }                 # tag: image, by one of its tags or by its name
//! ```
//!
//! The same file always gives the same images, tags and times. As in a registry, later pushes take over the floating
//! tags of earlier ones.

mod history;
mod manifest;
mod scheme;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use jiff::Timestamp;
use serde::Deserialize;

pub use history::{HistoryOptions, plant_history};
pub use manifest::{Kind, Made, make};
pub use scheme::{Dated, Floating, Numbered, Scheme, Versions};

use super::state::{Caller, InvalidManifest};
use super::{DEFAULT_ACCOUNT, DEFAULT_REGION, State};
use crate::model::{AccountId, InvalidName, Mutability, Region, RepositoryName, Tag};
use crate::yaml::{self, YamlError};
use scheme::Push;

const BUILTIN: &str = include_str!("seed/builtin.yaml");

/// When things happen that have no time of their own: 1 January 2024.
const DEFAULT_BEGIN: Timestamp = Timestamp::constant(1_704_067_200, 0);

/// A seed file.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seed {
    /// The repositories.
    pub repositories: Vec<SeedRepository>,
}

/// Repositories that are filled alike.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeedRepository {
    /// Their names.
    pub names: Vec<RepositoryName>,
    /// The account; without it the one the seed is planted for.
    #[serde(default)]
    pub account: Option<AccountId>,
    /// The region; without it the one the seed is planted for.
    #[serde(default)]
    pub region: Option<Region>,
    /// Which tags can be moved.
    #[serde(default)]
    pub mutability: SeedMutability,
    /// The exceptions from that.
    #[serde(default)]
    pub exclusion_filters: Vec<String>,
    /// The kind of image where nothing else is said.
    #[serde(default)]
    pub image: Kind,
    /// Pushes by rule.
    #[serde(default)]
    pub histories: Vec<History>,
    /// Single images.
    #[serde(default)]
    pub images: Vec<SeedImage>,
    /// Tags and the images they are on in the end: an image is named by one of its tags or by its name; one that is
    /// not there is made.
    #[serde(default)]
    pub tags: BTreeMap<Tag, String>,
}

/// The mode of tag mutability.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SeedMutability {
    /// Every tag can be moved.
    #[default]
    Mutable,
    /// No tag can be moved.
    Immutable,
    /// Only tags that match a filter can be moved.
    ImmutableWithExclusion,
    /// Tags that match a filter can not be moved.
    MutableWithExclusion,
}

/// A series of pushes.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct History {
    /// How the tags are made.
    pub scheme: Scheme,
    /// Tags that move to each new image, apart from pre-releases.
    #[serde(default)]
    pub also: Vec<Tag>,
    /// The kind of image; without it the repository's.
    #[serde(default)]
    pub image: Option<Kind>,
    /// The first push.
    #[serde(default = "default_begin")]
    pub begin: Timestamp,
    /// The hours between pushes, about.
    #[serde(default = "default_every_hours")]
    pub every_hours: u32,
}

/// One image.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeedImage {
    /// What its content is derived from; `tags` may name it so.
    pub name: String,
    /// The kind of image; without it the repository's.
    #[serde(default)]
    pub image: Option<Kind>,
    /// When it was pushed.
    #[serde(default = "default_begin")]
    pub pushed_at: Timestamp,
    /// Its tags; none are needed.
    #[serde(default)]
    pub tags: Vec<Tag>,
}

/// A seed can not be planted.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// The file is not YAML of the right shape.
    #[error("the seed is not valid: {0}")]
    Yaml(#[from] YamlError),
    /// A rule makes a name that is none.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// A rule can not be followed.
    #[error("`{0}` is not a range of versions such as `1.0.0..1.0.4`")]
    Range(String),
    /// A time is out of range.
    #[error("the time of a push is out of range")]
    Time(#[from] jiff::Error),
    /// Filters without an exclusion mode, or the other way round.
    #[error("`exclusion_filters` and a mutability `…-with-exclusion` need each other")]
    Filters,
    /// A line of a tag history has not the columns tag, commit, date.
    #[error("line {line} is not a tag, a commit and a date, separated by tabs")]
    Line {
        /// The line, from 1.
        line: usize,
    },
    /// A manifest is none; never happens with those made here.
    #[error(transparent)]
    Manifest(#[from] InvalidManifest),
}

/// The state of the built-in seed: a shop's repositories, with tags in schemes found in the wild and manifests of
/// every kind.
pub fn builtin() -> State {
    static STATE: LazyLock<State> = LazyLock::new(|| {
        let mut state = State::new();
        // A test plants it: what is embedded can not become wrong later.
        if let (Ok(seed), Some(owner)) = (parse(BUILTIN), default_owner()) {
            let _planted = plant(&seed, &owner, &mut state);
        }
        state
    });
    STATE.clone()
}

/// The account and region of the built-in seed.
pub fn default_owner() -> Option<Caller> {
    Some(Caller {
        account: DEFAULT_ACCOUNT.parse().ok()?,
        region: DEFAULT_REGION.parse().ok()?,
    })
}

/// Reads a seed file.
pub fn parse(text: &str) -> Result<Seed, SeedError> {
    Ok(yaml::from_str(text)?)
}

/// Adds what a seed describes to a state; where it names no account or region, to those of `owner`.
pub fn plant(seed: &Seed, owner: &Caller, state: &mut State) -> Result<(), SeedError> {
    for repository in &seed.repositories {
        let owner = Caller {
            account: repository
                .account
                .clone()
                .unwrap_or_else(|| owner.account.clone()),
            region: repository.region.clone().unwrap_or_else(|| owner.region.clone()),
        };
        for name in &repository.names {
            repository.plant(name, &owner, state)?;
        }
    }
    Ok(())
}

impl SeedRepository {
    fn plant(&self, name: &RepositoryName, owner: &Caller, state: &mut State) -> Result<(), SeedError> {
        let mut pushes = Vec::new();
        for history in &self.histories {
            pushes.append(&mut history.to_pushes(name.as_str(), self.image)?);
        }
        pushes.extend(self.images.iter().map(|image| Push {
            image: image.name.clone(),
            kind: image.image.unwrap_or(self.image),
            at: image.pushed_at,
            tags: image.tags.clone(),
        }));
        pushes.sort_by_key(|push| push.at);
        let begin = pushes.first().map_or(DEFAULT_BEGIN, |push| push.at);
        let end = pushes.last().map_or(DEFAULT_BEGIN, |push| push.at);
        let mut by_name: BTreeMap<String, Push> = BTreeMap::new();
        for push in &pushes {
            let names = push.tags.iter().map(|tag| tag.as_str().to_owned());
            for key in names.chain([push.image.clone()]) {
                by_name.insert(key, push.clone());
            }
        }
        for (tag, image) in &self.tags {
            let known = by_name.get(image).cloned();
            let push = known.unwrap_or_else(|| Push {
                image: image.clone(),
                kind: self.image,
                at: end,
                tags: Vec::new(),
            });
            pushes.push(Push {
                tags: vec![tag.clone()],
                ..push
            });
        }
        state.seed_repository(owner, name, self.mutability()?, begin);
        pushes.iter().try_for_each(|push| push.plant(name, owner, state))
    }

    fn mutability(&self) -> Result<Mutability, SeedError> {
        let filters = self.exclusion_filters.clone();
        match (self.mutability, filters.is_empty()) {
            (SeedMutability::Mutable, true) => Ok(Mutability::Mutable),
            (SeedMutability::Immutable, true) => Ok(Mutability::Immutable),
            (SeedMutability::ImmutableWithExclusion, false) => Ok(Mutability::ImmutableExcept(filters)),
            (SeedMutability::MutableWithExclusion, false) => Ok(Mutability::MutableExcept(filters)),
            _ => Err(SeedError::Filters),
        }
    }
}

impl Push {
    fn plant(&self, name: &RepositoryName, owner: &Caller, state: &mut State) -> Result<(), SeedError> {
        let made = make(self.kind, name.as_str(), &self.image);
        for before in &made.before {
            state.seed_image(owner, name, &before.manifest, before.media_type, self.at, &[])?;
        }
        state.seed_image(owner, name, &made.manifest, made.media_type, self.at, &self.tags)?;
        Ok(())
    }
}

fn default_begin() -> Timestamp {
    DEFAULT_BEGIN
}

fn default_every_hours() -> u32 {
    24
}
