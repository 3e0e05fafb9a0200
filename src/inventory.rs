//! What one repository holds, as seen at one moment.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::model::{Digest, Mutability, RepositoryName, Tag};

/// The tags and images of one repository, as far as a plan has asked for them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inventory {
    /// The repository.
    pub repository: RepositoryName,
    /// Which of its tags can be moved.
    pub mutability: Mutability,
    /// The tags that were seen. In a partial view, a tag that was asked for and is not here does not exist.
    pub tags: BTreeMap<Tag, Digest>,
    /// How much of the repository was read.
    pub view: View,
    /// What is known of images beyond their tags, where a rule asked for it.
    pub images: BTreeMap<Digest, Image>,
}

/// How much of a repository was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// All tags were listed.
    Whole,
    /// Only tags that were asked for by name were read.
    Named,
}

/// What is known of one image.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Image {
    /// When it was pushed; a retag does not change this.
    pub pushed_at: Option<Timestamp>,
    /// Every tag it carries, where a view of named tags needed to know.
    pub tags: Option<Vec<Tag>>,
    /// Whether it is archived: it can then be neither pulled nor retagged.
    pub is_archived: bool,
}

impl Inventory {
    /// An empty repository, completely known.
    pub fn empty(repository: RepositoryName) -> Self {
        Self {
            repository,
            mutability: Mutability::default(),
            tags: BTreeMap::new(),
            view: View::Whole,
            images: BTreeMap::new(),
        }
    }

    /// Whether the image was seen, by one of its tags or by its digest.
    pub fn holds(&self, digest: Digest) -> bool {
        self.images.contains_key(&digest) || self.tags.values().any(|on| *on == digest)
    }

    /// When the image was pushed, if that was read.
    pub fn pushed_at(&self, digest: Digest) -> Option<Timestamp> {
        self.images.get(&digest).and_then(|image| image.pushed_at)
    }

    /// Whether the image is known to be archived.
    pub fn is_archived(&self, digest: Digest) -> bool {
        self.images.get(&digest).is_some_and(|image| image.is_archived)
    }
}
