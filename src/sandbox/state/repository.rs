//! What one repository holds: images in the order they were pushed, and which image each tag is on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::manifest::{Facts, MediaType};
use super::request::{Filter, ImageStatus, TagStatus};
use crate::model::{Digest, Mutability, Tag};

/// One repository.
#[derive(Debug, Clone)]
pub struct Repository {
    /// When it was created.
    pub created_at: Timestamp,
    /// Which of its tags can be moved.
    pub mutability: Mutability,
    images: BTreeMap<u64, Image>,
    numbers: BTreeMap<Digest, u64>,
    tags: BTreeMap<Tag, u64>,
    uploaded: BTreeSet<Digest>,
    next_number: u64,
}

/// One image of a repository.
#[derive(Debug, Clone)]
pub struct Image {
    /// The SHA-256 of the manifest.
    pub digest: Digest,
    /// The manifest as it was pushed, byte for byte.
    pub manifest: Arc<str>,
    /// The media type it was pushed with.
    pub media_type: MediaType,
    /// When it was pushed first; a new tag does not change it.
    pub pushed_at: Timestamp,
    /// What its blobs weigh together; of an index, the largest of its children.
    pub size_bytes: u64,
    tags: Vec<Tag>,
    rare: Option<Box<Rare>>,
}

/// What most images do not have, kept apart because there can be a million of them.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Rare {
    pub children: Vec<Digest>,
    pub subject: Option<Digest>,
    pub artifact: Option<String>,
    pub archived_at: Option<Timestamp>,
    pub activated_at: Option<Timestamp>,
    pub is_archived: bool,
    pub pulled_at: Option<Timestamp>,
}

/// Where a list goes on: at this image, behind this tag of it.
#[derive(Debug, Clone, Default)]
pub(super) struct Cursor {
    pub number: u64,
    pub tag: Option<Tag>,
}

impl Image {
    pub(super) fn new(manifest: Arc<str>, media_type: MediaType, facts: Facts, pushed_at: Timestamp) -> Self {
        let mut image = Self {
            digest: Digest::of(manifest.as_bytes()),
            manifest,
            media_type,
            pushed_at,
            size_bytes: facts.size_bytes,
            tags: Vec::new(),
            rare: None,
        };
        let rare = Rare {
            children: facts.children,
            subject: facts.subject,
            artifact: facts
                .artifact
                .filter(|artifact| Some(artifact.as_str()) != media_type.usual_artifact()),
            ..Rare::default()
        };
        image.set_rare(rare);
        image
    }

    /// Its tags, sorted.
    pub fn tags(&self) -> &[Tag] {
        &self.tags
    }

    /// The images that an index names.
    pub fn children(&self) -> &[Digest] {
        self.rare.as_ref().map_or(&[], |rare| &rare.children)
    }

    /// The image that this one is attached to, as a signature is.
    pub fn subject(&self) -> Option<Digest> {
        self.rare.as_ref().and_then(|rare| rare.subject)
    }

    /// The `artifactType` of the manifest, or else the media type of its config.
    pub fn artifact(&self) -> Option<&str> {
        self.rare
            .as_ref()
            .and_then(|rare| rare.artifact.as_deref())
            .or_else(|| self.media_type.usual_artifact())
    }

    /// Whether it is in the archive storage class, where it can not be pulled from.
    pub fn is_archived(&self) -> bool {
        self.rare.as_ref().is_some_and(|rare| rare.is_archived)
    }

    pub(super) fn rare(&self) -> Option<&Rare> {
        self.rare.as_deref()
    }

    pub(super) fn rare_mut(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    pub(super) fn set_rare(&mut self, rare: Rare) {
        self.rare = (rare != Rare::default()).then(|| Box::new(rare));
    }

    pub(super) fn passes(&self, filter: Filter) -> bool {
        let has_tag_status = match filter.tag_status {
            TagStatus::Any => true,
            TagStatus::Tagged => !self.tags.is_empty(),
            TagStatus::Untagged => self.tags.is_empty(),
        };
        let has_image_status = match filter.image_status {
            ImageStatus::Any => true,
            ImageStatus::Active => !self.is_archived(),
            ImageStatus::Archived => self.is_archived(),
            ImageStatus::Activating => false,
        };
        has_tag_status && has_image_status
    }
}

impl Repository {
    /// An empty repository.
    pub fn new(created_at: Timestamp, mutability: Mutability) -> Self {
        Self {
            created_at,
            mutability,
            images: BTreeMap::new(),
            numbers: BTreeMap::new(),
            tags: BTreeMap::new(),
            uploaded: BTreeSet::new(),
            next_number: 0,
        }
    }

    /// Its images, oldest push first.
    pub fn images(&self) -> impl Iterator<Item = &Image> {
        self.images.values()
    }

    /// How many images it holds.
    pub fn image_count(&self) -> usize {
        self.images.len()
    }

    /// The image of this digest.
    pub fn image(&self, digest: &Digest) -> Option<&Image> {
        self.images.get(self.numbers.get(digest)?)
    }

    /// The image that this tag is on.
    pub fn tagged(&self, tag: &Tag) -> Option<&Image> {
        self.images.get(self.tags.get(tag)?)
    }

    /// Its tags and the images they are on, sorted by tag.
    pub fn tags(&self) -> impl Iterator<Item = (&Tag, &Image)> {
        self.tags
            .iter()
            .filter_map(|(tag, number)| Some((tag, self.images.get(number)?)))
    }

    /// Blobs that were uploaded by themselves rather than found in the image that needed them first.
    pub fn uploaded(&self) -> impl Iterator<Item = &Digest> {
        self.uploaded.iter()
    }

    /// Makes these blobs known, as uploading layers does.
    pub fn upload(&mut self, blobs: impl IntoIterator<Item = Digest>) {
        self.uploaded.extend(blobs);
    }

    pub(super) fn image_mut(&mut self, digest: &Digest) -> Option<&mut Image> {
        self.images.get_mut(self.numbers.get(digest)?)
    }

    /// Adds an image at the end; one that is there already stays as it is.
    pub(super) fn insert(&mut self, image: Image) {
        if self.numbers.contains_key(&image.digest) {
            return;
        }
        let number = self.next_number;
        self.next_number += 1;
        self.numbers.insert(image.digest, number);
        self.images.insert(number, image);
    }

    /// Puts the tag on an image, taking it off the one it was on, which stays even if that was its last tag.
    pub(super) fn set_tag(&mut self, tag: &Tag, digest: &Digest) {
        let Some(&number) = self.numbers.get(digest) else {
            return;
        };
        self.take_off(tag);
        if let Some(image) = self.images.get_mut(&number)
            && let Err(at) = image.tags.binary_search(tag)
        {
            image.tags.insert(at, tag.clone());
            self.tags.insert(tag.clone(), number);
        }
    }

    pub(super) fn take_off(&mut self, tag: &Tag) {
        let number = self.tags.remove(tag);
        if let Some(image) = number.and_then(|number| self.images.get_mut(&number)) {
            image.tags.retain(|other| other != tag);
        }
    }

    pub(super) fn remove(&mut self, digest: &Digest) {
        let Some(image) = self
            .numbers
            .remove(digest)
            .and_then(|number| self.images.remove(&number))
        else {
            return;
        };
        for tag in &image.tags {
            self.tags.remove(tag);
        }
        // ECR drops the layers that no image needs any more.
        if let Some(facts) = super::manifest::read(&image.manifest) {
            for blob in &facts.blobs {
                self.uploaded.remove(blob);
            }
        }
    }

    /// The blobs among these that the repository does not have.
    pub(super) fn missing_blobs(&self, blobs: &[Digest]) -> BTreeSet<Digest> {
        let mut missing: BTreeSet<Digest> = blobs.iter().copied().collect();
        missing.retain(|blob| !self.uploaded.contains(blob));
        // What an image of the repository needs was there when it was pushed.
        for image in self.images.values().rev() {
            if missing.is_empty() {
                break;
            }
            if let Some(facts) = super::manifest::read(&image.manifest) {
                for blob in &facts.blobs {
                    missing.remove(blob);
                }
            }
        }
        missing
    }

    /// The images that some index of the repository names, each with the first such index.
    pub(super) fn referenced(&self) -> BTreeMap<Digest, Digest> {
        let mut referenced = BTreeMap::new();
        for index in self.images.values() {
            for child in index.children() {
                referenced.entry(*child).or_insert(index.digest);
            }
        }
        referenced
    }

    /// The images from `number` on that pass the filter, with their numbers.
    pub(super) fn images_from(&self, number: u64, filter: Filter) -> impl Iterator<Item = (u64, &Image)> {
        self.images
            .range(number..)
            .map(|(&number, image)| (number, image))
            .filter(move |(_, image)| image.passes(filter))
    }

    /// One entry for each tag, and one for each untagged image, from `cursor` on.
    pub(super) fn entries_from<'a>(
        &'a self,
        cursor: &'a Cursor,
        filter: Filter,
    ) -> impl Iterator<Item = (u64, &'a Image, Option<&'a Tag>)> {
        self.images_from(cursor.number, filter)
            .flat_map(move |(number, image)| {
                let resumed = cursor.tag.as_ref().filter(|_| number == cursor.number);
                let skipped = resumed.map_or(0, |after| image.tags.partition_point(|tag| tag <= after));
                let tags = image.tags.get(skipped..).unwrap_or_default();
                let untagged = (image.tags.is_empty() && resumed.is_none()).then_some((number, image, None));
                tags.iter()
                    .map(move |tag| (number, image, Some(tag)))
                    .chain(untagged)
            })
    }
}
