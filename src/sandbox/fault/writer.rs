//! Another client of the registry, who writes between two calls.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::state::{Caller, Image, Repository, State};
use crate::model::{Digest, RepositoryName, Tag};

/// A write by someone else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Writer {
    /// Where; without it in the repository of the call.
    #[serde(default)]
    pub repository: Option<RepositoryName>,
    /// Which tag; without it one of the repository's, by chance.
    #[serde(default)]
    pub tag: Option<Tag>,
    /// Where the tag goes.
    pub move_to: MoveTo,
}

/// Where another writer puts a tag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MoveTo {
    /// Onto the image that this tag is on.
    Tag(Tag),
    /// Onto the image of this digest.
    Digest(Digest),
    /// Onto any image of the repository, by chance.
    Random,
    /// Nowhere: it is deleted, and with it the image if it was its last tag.
    Gone,
}

impl Writer {
    /// The operation and the request that do it; `None` if something it names is not there.
    pub(in super::super) fn to_request(
        &self,
        state: &State,
        owner: &Caller,
        called: Option<&RepositoryName>,
        rng: &mut fastrand::Rng,
    ) -> Option<(&'static str, Value)> {
        let name = self.repository.as_ref().or(called)?;
        let repository = state.find_repository(owner, name)?;
        let tag = match &self.tag {
            Some(tag) => tag.clone(),
            None => any_of(repository.tags().map(|(tag, _)| tag), rng)?.clone(),
        };
        let image = match &self.move_to {
            MoveTo::Gone => {
                let request = json!({
                    "repositoryName": name.as_str(),
                    "imageIds": [{ "imageTag": tag.as_str() }],
                });
                return Some(("BatchDeleteImage", request));
            }
            MoveTo::Tag(tag) => repository.tagged(tag)?,
            MoveTo::Digest(digest) => repository.image(digest)?,
            MoveTo::Random => any_image(repository, rng)?,
        };
        let request = json!({
            "repositoryName": name.as_str(),
            "imageManifest": &*image.manifest,
            "imageManifestMediaType": image.media_type.as_str(),
            "imageDigest": image.digest.to_string(),
            "imageTag": tag.as_str(),
        });
        Some(("PutImage", request))
    }
}

fn any_image<'a>(repository: &'a Repository, rng: &mut fastrand::Rng) -> Option<&'a Image> {
    any_of(repository.images(), rng)
}

fn any_of<T>(items: impl Iterator<Item = T>, rng: &mut fastrand::Rng) -> Option<T> {
    let mut items: Vec<T> = items.collect();
    (!items.is_empty()).then(|| items.swap_remove(rng.usize(..items.len())))
}
