//! The state as it is written to a file.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::manifest::{self, MediaType};
use super::repository::{Image, Rare, Repository};
use super::{Caller, RoleRule, State};
use crate::model::{AccountId, Digest, Mutability, Region, RepositoryName, Tag};

const VERSION: u32 = 1;

/// A [`State`] in the shape of its file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    version: u32,
    /// The number of the last logged change that it includes.
    pub includes: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    grants: Vec<(AccountId, AccountId)>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    roles: BTreeMap<String, RoleRule>,
    registries: Vec<SavedRegistry>,
}

/// A snapshot can not be turned into a state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// It was written by another version of the program.
    #[error("its version is {0}, this program reads version {VERSION}")]
    Version(u32),
    /// A manifest is no manifest.
    #[error("an image of `{0}` has no valid manifest")]
    Manifest(RepositoryName),
    /// A time is out of range.
    #[error("a time of `{0}` is out of range")]
    Time(RepositoryName),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedRegistry {
    account: AccountId,
    region: Region,
    repositories: BTreeMap<RepositoryName, SavedRepository>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedRepository {
    created_at_ms: i64,
    mutability: SavedMutability,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    uploaded: Vec<Digest>,
    images: Vec<SavedImage>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum SavedMutability {
    Mutable,
    Immutable,
    ImmutableWithExclusion(Vec<String>),
    MutableWithExclusion(Vec<String>),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedImage {
    manifest: Arc<str>,
    media_type: MediaType,
    pushed_at_ms: i64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tags: Vec<Tag>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pulled_at_ms: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    archived_at_ms: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    activated_at_ms: Option<i64>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_archived: bool,
}

impl State {
    /// The state as it is saved, with all logged changes up to the number `includes`.
    pub fn to_snapshot(&self, includes: u64) -> Snapshot {
        let registries = self
            .registries
            .iter()
            .map(|((account, region), repositories)| SavedRegistry {
                account: account.clone(),
                region: region.clone(),
                repositories: repositories
                    .iter()
                    .map(|(name, repository)| (name.clone(), SavedRepository::from(repository)))
                    .collect(),
            });
        Snapshot {
            version: VERSION,
            includes,
            grants: self.grants.iter().cloned().collect(),
            roles: self.roles.clone(),
            registries: registries.collect(),
        }
    }

    /// The state that was saved; its limits are the default ones.
    pub fn from_snapshot(snapshot: Snapshot) -> Result<Self, SnapshotError> {
        if snapshot.version != VERSION {
            return Err(SnapshotError::Version(snapshot.version));
        }
        let mut state = Self::new();
        state.grants = snapshot.grants.into_iter().collect();
        state.roles = snapshot.roles;
        for registry in snapshot.registries {
            let owner = Caller {
                account: registry.account,
                region: registry.region,
            };
            for (name, repository) in registry.repositories {
                state.restore(&owner, name, repository)?;
            }
        }
        Ok(state)
    }

    fn restore(
        &mut self,
        owner: &Caller,
        name: RepositoryName,
        saved: SavedRepository,
    ) -> Result<(), SnapshotError> {
        let time = |ms: i64| Timestamp::from_millisecond(ms).map_err(|_| SnapshotError::Time(name.clone()));
        let mut repository = Repository::new(time(saved.created_at_ms)?, saved.mutability.into());
        repository.upload(saved.uploaded);
        for image in saved.images {
            let facts = manifest::read(&image.manifest);
            let facts = facts.ok_or_else(|| SnapshotError::Manifest(name.clone()))?;
            let children = facts.children.iter().filter_map(|child| repository.image(child));
            let largest_child = children.map(|child| child.size_bytes).max();
            let pushed_at = time(image.pushed_at_ms)?;
            let mut restored = Image::new(image.manifest, image.media_type, facts, pushed_at);
            restored.size_bytes = largest_child.unwrap_or(restored.size_bytes);
            let rare = Rare {
                is_archived: image.is_archived,
                pulled_at: image.pulled_at_ms.map(time).transpose()?,
                archived_at: image.archived_at_ms.map(time).transpose()?,
                activated_at: image.activated_at_ms.map(time).transpose()?,
                ..restored.rare().cloned().unwrap_or_default()
            };
            restored.set_rare(rare);
            let digest = restored.digest;
            repository.insert(restored);
            for tag in &image.tags {
                repository.set_tag(tag, &digest);
            }
        }
        let key = (owner.account.clone(), owner.region.clone());
        self.registries.entry(key).or_default().insert(name, repository);
        Ok(())
    }
}

impl From<&Repository> for SavedRepository {
    fn from(repository: &Repository) -> Self {
        Self {
            created_at_ms: repository.created_at.as_millisecond(),
            mutability: repository.mutability.clone().into(),
            uploaded: repository.uploaded().copied().collect(),
            images: repository.images().map(SavedImage::from).collect(),
        }
    }
}

impl From<&Image> for SavedImage {
    fn from(image: &Image) -> Self {
        let ms =
            |time: fn(&Rare) -> Option<Timestamp>| image.rare().and_then(time).map(Timestamp::as_millisecond);
        Self {
            manifest: Arc::clone(&image.manifest),
            media_type: image.media_type,
            pushed_at_ms: image.pushed_at.as_millisecond(),
            tags: image.tags().to_vec(),
            pulled_at_ms: ms(|rare| rare.pulled_at),
            archived_at_ms: ms(|rare| rare.archived_at),
            activated_at_ms: ms(|rare| rare.activated_at),
            is_archived: image.is_archived(),
        }
    }
}

impl From<SavedMutability> for Mutability {
    fn from(saved: SavedMutability) -> Self {
        match saved {
            SavedMutability::Mutable => Self::Mutable,
            SavedMutability::Immutable => Self::Immutable,
            SavedMutability::ImmutableWithExclusion(filters) => Self::ImmutableExcept(filters),
            SavedMutability::MutableWithExclusion(filters) => Self::MutableExcept(filters),
        }
    }
}

impl From<Mutability> for SavedMutability {
    fn from(mutability: Mutability) -> Self {
        match mutability {
            Mutability::Mutable => Self::Mutable,
            Mutability::Immutable => Self::Immutable,
            Mutability::ImmutableExcept(filters) => Self::ImmutableWithExclusion(filters),
            Mutability::MutableExcept(filters) => Self::MutableWithExclusion(filters),
        }
    }
}
