//! ECR's answers in this program's own types.

use aws_sdk_ecr::types::{
    self, ImageFailure, ImageFailureCode, ImageIdentifier, ImageStatus, ImageTagMutability, Repository,
};
use jiff::Timestamp;

use crate::model::{Digest, Mutability, RepositoryName, Tag};
use crate::registry::RegistryError;
use crate::registry::classify::{lacking, unexpected};

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// Its entries.
    pub items: Vec<T>,
    /// What to ask the next page with; none on the last.
    pub next: Option<String>,
}

/// A repository, as far as retagging is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepositoryDetail {
    /// Its name.
    pub name: RepositoryName,
    /// Which of its tags can be moved.
    pub mutability: Mutability,
}

/// A tag on its image, or an image without a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedImage {
    /// The tag; none if the image has no tag.
    pub tag: Option<Tag>,
    /// The image.
    pub digest: Digest,
}

/// An image with what ECR knows of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageDetail {
    /// The image.
    pub digest: Digest,
    /// Every tag it carries.
    pub tags: Vec<Tag>,
    /// When it was pushed; a retag does not change this.
    pub pushed_at: Option<Timestamp>,
    /// Whether it is archived or just being restored, so that it cannot be pulled.
    pub is_archived: bool,
}

/// What identifies an image in a call: its tag, its digest, or both.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct ImageId {
    /// The tag.
    pub tag: Option<Tag>,
    /// The digest.
    pub digest: Option<Digest>,
}

/// What `BatchGetImage` answered.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FetchedImages {
    /// The images that could be had, in no certain order.
    pub images: Vec<FetchedImage>,
    /// The images that could not.
    pub failures: Vec<Failure>,
}

/// An image's manifest, as ECR gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchedImage {
    /// The tag it was asked for by.
    pub tag: Option<Tag>,
    /// Its digest, as ECR says; not compared with the manifest.
    pub digest: Digest,
    /// The manifest, byte for byte.
    pub manifest: String,
    /// The manifest's media type.
    pub media_type: Option<String>,
}

/// An image that a batch could not do its work on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The image, as ECR repeats it.
    pub id: ImageId,
    /// Why.
    pub code: FailureCode,
    /// ECR's own code, such as `UpstreamUnavailable`.
    pub code_text: String,
    /// ECR's own words.
    pub reason: String,
}

/// Why a batch could not do its work on an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureCode {
    /// There is no such image.
    NotFound,
    /// The tag is on another image than was said.
    TagElsewhere,
    /// An image index refers to it, so that its last tag cannot be removed.
    Referenced,
    /// It may exist, but is archived, encrypted with an unusable key, or behind an upstream that does not answer.
    Unavailable,
    /// The id was not accepted, or the code is one that this program does not know.
    Other,
}

impl ImageId {
    /// An image by its tag.
    pub fn tag(tag: Tag) -> Self {
        Self {
            tag: Some(tag),
            digest: None,
        }
    }

    /// An image by its digest.
    pub fn digest(digest: Digest) -> Self {
        Self {
            tag: None,
            digest: Some(digest),
        }
    }
}

impl From<ImageId> for ImageIdentifier {
    fn from(id: ImageId) -> Self {
        Self::from(&id)
    }
}

impl From<&ImageId> for ImageIdentifier {
    fn from(id: &ImageId) -> Self {
        Self::builder()
            .set_image_tag(id.tag.as_ref().map(ToString::to_string))
            .set_image_digest(id.digest.as_ref().map(ToString::to_string))
            .build()
    }
}

impl From<ImageIdentifier> for ImageId {
    /// Leaves out what cannot be read: servers other than ECR repeat ids loosely.
    fn from(id: ImageIdentifier) -> Self {
        Self {
            tag: id.image_tag.and_then(|tag| tag.parse().ok()),
            digest: id.image_digest.and_then(|digest| digest.parse().ok()),
        }
    }
}

impl From<ImageFailure> for Failure {
    fn from(failure: ImageFailure) -> Self {
        let code = match &failure.failure_code {
            Some(ImageFailureCode::ImageNotFound) => FailureCode::NotFound,
            Some(ImageFailureCode::ImageTagDoesNotMatchDigest) => FailureCode::TagElsewhere,
            Some(ImageFailureCode::ImageReferencedByManifestList) => FailureCode::Referenced,
            Some(
                ImageFailureCode::ImageInaccessible
                | ImageFailureCode::KmsError
                | ImageFailureCode::UpstreamAccessDenied
                | ImageFailureCode::UpstreamTooManyRequests
                | ImageFailureCode::UpstreamUnavailable,
            ) => FailureCode::Unavailable,
            _ => FailureCode::Other,
        };
        let code_text = failure
            .failure_code
            .map_or_else(String::new, |code| code.as_str().to_owned());
        Self {
            id: failure.image_id.map(ImageId::from).unwrap_or_default(),
            code,
            code_text,
            reason: failure.failure_reason.unwrap_or_default(),
        }
    }
}

impl TryFrom<Repository> for RepositoryDetail {
    type Error = RegistryError;

    fn try_from(repository: Repository) -> Result<Self, RegistryError> {
        let name = repository
            .repository_name
            .ok_or_else(|| lacking("repositoryName"))?;
        let filters = repository
            .image_tag_mutability_exclusion_filters
            .unwrap_or_default();
        let filters = || filters.into_iter().map(|filter| filter.filter).collect();
        let mutability = match repository.image_tag_mutability {
            Some(ImageTagMutability::Immutable) => Mutability::Immutable,
            Some(ImageTagMutability::ImmutableWithExclusion) => Mutability::ImmutableExcept(filters()),
            Some(ImageTagMutability::MutableWithExclusion) => Mutability::MutableExcept(filters()),
            // A mode that this program does not know is left for ECR to enforce.
            _ => Mutability::Mutable,
        };
        Ok(Self {
            name: name.parse().map_err(|error| unexpected(&error))?,
            mutability,
        })
    }
}

impl TryFrom<ImageIdentifier> for ListedImage {
    type Error = RegistryError;

    fn try_from(id: ImageIdentifier) -> Result<Self, RegistryError> {
        Ok(Self {
            tag: id.image_tag.as_deref().map(parse_tag).transpose()?,
            digest: parse_digest(id.image_digest.as_deref())?,
        })
    }
}

impl TryFrom<types::ImageDetail> for ImageDetail {
    type Error = RegistryError;

    fn try_from(detail: types::ImageDetail) -> Result<Self, RegistryError> {
        let tags = detail.image_tags.iter().flatten();
        let pushed_at = detail
            .image_pushed_at
            .and_then(|at| Timestamp::new(at.secs(), i32::try_from(at.subsec_nanos()).unwrap_or(0)).ok());
        Ok(Self {
            digest: parse_digest(detail.image_digest.as_deref())?,
            tags: tags.map(|tag| parse_tag(tag)).collect::<Result<_, _>>()?,
            pushed_at,
            is_archived: matches!(
                detail.image_status,
                Some(ImageStatus::Archived | ImageStatus::Activating)
            ),
        })
    }
}

impl TryFrom<types::Image> for FetchedImage {
    type Error = RegistryError;

    fn try_from(image: types::Image) -> Result<Self, RegistryError> {
        let id = image.image_id.ok_or_else(|| lacking("imageId"))?;
        Ok(Self {
            tag: id.image_tag.as_deref().map(parse_tag).transpose()?,
            digest: parse_digest(id.image_digest.as_deref())?,
            manifest: image.image_manifest.ok_or_else(|| lacking("imageManifest"))?,
            media_type: image.image_manifest_media_type,
        })
    }
}

fn parse_tag(text: &str) -> Result<Tag, RegistryError> {
    text.parse().map_err(|error| unexpected(&error))
}

fn parse_digest(text: Option<&str>) -> Result<Digest, RegistryError> {
    text.ok_or_else(|| lacking("imageDigest"))?
        .parse()
        .map_err(|error| unexpected(&error))
}
