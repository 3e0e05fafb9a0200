//! Writes images: PutImage, BatchDeleteImage and `UpdateImageStorageClass`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::sync::Arc;

use serde_json::{Value, json};

use super::error::ErrorAnswer;
use super::images::{Failure, find, image_id, to_failure};
use super::manifest::{self, Facts, MediaType};
use super::repository::{Image, Repository};
use super::request::{ImageId, Read, Request, parse_tag};
use super::{Answer, Call, Limits, State};
use crate::model::{Digest, RepositoryName, Tag};

const MANIFEST_BYTES_MAX: usize = 4 << 20;

/// A PutImage whose parts are each valid by themselves.
struct Put<'a> {
    repository: RepositoryName,
    manifest: &'a str,
    digest: Digest,
    expected: Option<&'a str>,
    media_type: MediaType,
    tag: Option<Tag>,
    facts: Facts,
}

impl State {
    /// Puts an image, or a tag on an image that is there.
    ///
    /// Errors are looked for in the order: the request itself, the repository, the digest, blobs and children,
    /// immutability, already there, limits. That order is a guess, except that immutability comes before already
    /// there, which is known (aws/containers-roadmap#2179).
    pub(super) fn put_image(&mut self, call: &Call<'_>) -> Answer {
        let put = Put::read(call.request)?;
        let limits = self.limits;
        let repository = self.repository_mut(call, &put.repository)?;
        put.check_digest()?;
        put.check_references(repository, call)?;
        put.check_tag(repository, call)?;
        put.check_limits(repository, limits)?;
        if let Some(image) = repository.image_mut(&put.digest) {
            // Pushing an archived image restores it (AWS docs, "Pushing an image").
            if image.is_archived() {
                let rare = image.rare_mut();
                rare.is_archived = false;
                rare.activated_at = Some(call.now);
            }
        } else {
            let sizes = put
                .facts
                .children
                .iter()
                .filter_map(|child| repository.image(child));
            let largest_child = sizes.map(|image| image.size_bytes).max();
            let mut image = Image::new(Arc::from(put.manifest), put.media_type, put.facts, call.now);
            image.size_bytes = largest_child.unwrap_or(image.size_bytes);
            repository.insert(image);
        }
        if let Some(tag) = &put.tag {
            repository.set_tag(tag, &put.digest);
        }
        let media_type = repository
            .image(&put.digest)
            .map_or(put.media_type, |image| image.media_type);
        let answer = json!({ "image": {
            "registryId": call.account().as_str(),
            "repositoryName": put.repository.as_str(),
            "imageId": image_id(&put.digest, put.tag.as_ref()),
            "imageManifest": put.manifest,
            "imageManifestMediaType": media_type.as_str(),
        }});
        self.changed();
        Ok(answer)
    }

    /// Deletes tags and images. An image goes with its last tag; one that an index names stays.
    pub(super) fn batch_delete_image(&mut self, call: &Call<'_>) -> Answer {
        let name = call.request.repository_name()?;
        let ids = call
            .request
            .image_ids()?
            .ok_or_else(|| ErrorAnswer::invalid("imageIds", "must not be null"))?;
        let repository = self.repository_mut(call, &name)?;
        // Whether an index that is deleted in the same call still protects its children is not documented; the
        // stricter reading is that it does.
        let referenced = repository.referenced();
        let mut deleted = Vec::new();
        let mut failures = Vec::new();
        for id in ids {
            match delete(repository, &id, &referenced) {
                Ok(mut ids) => deleted.append(&mut ids),
                Err(failure) => failures.push(to_failure(&id, &failure)),
            }
        }
        if !deleted.is_empty() {
            self.changed();
        }
        Ok(json!({ "imageIds": deleted, "failures": failures }))
    }

    /// Moves an image into the archive or back; restoring takes no time here.
    pub(super) fn update_image_storage_class(&mut self, call: &Call<'_>) -> Answer {
        let name = call.request.repository_name()?;
        let id = call.request.image_id("imageId")?;
        let is_archived = match call.request.required_text("targetStorageClass")? {
            "ARCHIVE" => true,
            "STANDARD" => false,
            _ => {
                return Err(ErrorAnswer::invalid(
                    "targetStorageClass",
                    "Member must satisfy enum value set: [STANDARD, ARCHIVE]",
                ));
            }
        };
        let repository = self.repository_mut(call, &name)?;
        let digest = find(repository, &id)
            .map_err(|(_, reason)| ErrorAnswer::client("ImageNotFoundException", reason))?
            .digest;
        if let Some(image) = repository.image_mut(&digest) {
            let rare = image.rare_mut();
            rare.is_archived = is_archived;
            if is_archived {
                rare.archived_at = Some(call.now);
            } else {
                rare.activated_at = Some(call.now);
            }
        }
        self.changed();
        Ok(json!({
            "registryId": call.account().as_str(),
            "repositoryName": name.as_str(),
            "imageId": image_id(&digest, id.parsed_tag().and_then(Result::ok).as_ref()),
            "imageStatus": if is_archived { "ARCHIVED" } else { "ACTIVE" },
        }))
    }
}

impl<'a> Put<'a> {
    fn read(request: Request<'a>) -> Read<Self> {
        let repository = request.repository_name()?;
        let tag = request.text("imageTag")?.map(parse_tag).transpose()?;
        let manifest = request.required_text("imageManifest")?;
        if !(1..=MANIFEST_BYTES_MAX).contains(&manifest.len()) {
            return Err(ErrorAnswer::invalid(
                "imageManifest",
                "Member must have length between 1 and 4194304",
            ));
        }
        let facts = manifest::read(manifest).ok_or_else(invalid_json)?;
        let media_type = media_type(&facts, request.text("imageManifestMediaType")?)?;
        Ok(Self {
            repository,
            manifest,
            digest: Digest::of(manifest.as_bytes()),
            expected: request.text("imageDigest")?,
            media_type,
            tag,
            facts,
        })
    }

    fn check_digest(&self) -> Read<()> {
        let Some(expected) = self.expected else {
            return Ok(());
        };
        if expected == self.digest.to_string() {
            return Ok(());
        }
        Err(ErrorAnswer::client(
            "ImageDigestDoesNotMatchException",
            format!(
                "The provided image digest '{expected}' does not match the digest '{}' calculated from the image \
                 manifest",
                self.digest
            ),
        ))
    }

    /// What the manifest names must be in this repository.
    fn check_references(&self, repository: &Repository, call: &Call<'_>) -> Read<()> {
        if repository.image(&self.digest).is_some() {
            return Ok(());
        }
        let absent = |noun: &str, digests: &BTreeSet<Digest>| {
            format!(
                "{noun} with digests '[{}]' required for pushing image into repository with name '{}' in the registry \
                 with id '{}' do not exist",
                joined(digests),
                self.repository,
                call.account()
            )
        };
        let layers = repository.missing_blobs(&self.facts.blobs);
        if !layers.is_empty() {
            return Err(ErrorAnswer::client(
                "LayersNotFoundException",
                absent("Layers", &layers),
            ));
        }
        let children = self.facts.children.iter().copied();
        let images: BTreeSet<Digest> = children
            .filter(|child| repository.image(child).is_none())
            .collect();
        if !images.is_empty() {
            return Err(ErrorAnswer::client(
                "ReferencedImagesNotFoundException",
                absent("Images", &images),
            ));
        }
        Ok(())
    }

    fn check_tag(&self, repository: &Repository, call: &Call<'_>) -> Read<()> {
        let present = self.tag.as_ref().and_then(|tag| repository.tagged(tag));
        if let Some(tag) = &self.tag
            && present.is_some()
            && repository.mutability.is_immutable(tag)
        {
            return Err(ErrorAnswer::client(
                "ImageTagAlreadyExistsException",
                format!(
                    "The image tag '{tag}' already exists in the '{}' repository and cannot be overwritten because \
                     the repository is immutable.",
                    self.repository
                ),
            ));
        }
        let same = match &self.tag {
            Some(_) => present.filter(|image| image.digest == self.digest),
            None => repository.image(&self.digest),
        };
        if same.is_some_and(|image| !image.is_archived()) {
            let tag = self.tag.as_ref().map_or("null", Tag::as_str);
            return Err(ErrorAnswer::client(
                "ImageAlreadyExistsException",
                format!(
                    "Image with digest '{}' and tag '{tag}' already exists in the repository with name '{}' in \
                     registry with id '{}'",
                    self.digest,
                    self.repository,
                    call.account()
                ),
            ));
        }
        Ok(())
    }

    fn check_limits(&self, repository: &Repository, limits: Limits) -> Read<()> {
        let image = repository.image(&self.digest);
        let is_new_tag = self
            .tag
            .as_ref()
            .is_some_and(|tag| image.is_none_or(|image| image.tags().binary_search(tag).is_err()));
        if is_new_tag && image.is_some_and(|image| image.tags().len() >= limits.tags_per_image) {
            return Err(ErrorAnswer::limit_exceeded(format!(
                "The image with digest '{}' in the '{}' repository has reached the limit of {} tags per image",
                self.digest, self.repository, limits.tags_per_image
            )));
        }
        if image.is_none() && repository.image_count() >= limits.images_per_repository {
            return Err(ErrorAnswer::limit_exceeded(format!(
                "The '{}' repository has reached the limit of {} images per repository",
                self.repository, limits.images_per_repository
            )));
        }
        Ok(())
    }
}

/// The media type that a manifest is stored with.
///
/// One without a `mediaType` member must be sent with `imageManifestMediaType`; the error for that is known
/// (aws/aws-cli#6745), those for types that differ or do not fit are guesses.
fn media_type(facts: &Facts, given: Option<&str>) -> Read<MediaType> {
    let written = facts.media_type.as_deref();
    if let (Some(written), Some(given)) = (written, given)
        && written != given
    {
        return Err(ErrorAnswer::invalid(
            "imageManifestMediaType",
            &format!("must be the media type '{written}' of the image manifest"),
        ));
    }
    let text = written.or(given).ok_or_else(invalid_json)?;
    let fits = |media_type: &MediaType| {
        let may_be_bare = matches!(media_type, MediaType::OciManifest | MediaType::OciIndex);
        media_type.is_index() == facts.is_index && (written.is_some() || may_be_bare)
    };
    MediaType::from_text(text).filter(fits).ok_or_else(|| {
        ErrorAnswer::invalid_parameter(format!(
            "Invalid parameter at 'imageManifestMediaType' failed to satisfy constraint: 'the media type '{text}' is \
             not supported for this image manifest'"
        ))
    })
}

fn invalid_json() -> ErrorAnswer {
    ErrorAnswer::invalid("ImageManifest", "Invalid JSON syntax")
}

fn delete(
    repository: &mut Repository,
    id: &ImageId,
    referenced: &BTreeMap<Digest, Digest>,
) -> Result<Vec<Value>, Failure> {
    let image = find(repository, id)?;
    let (digest, tags) = (image.digest, image.tags().to_vec());
    let tag = id.parsed_tag().and_then(Result::ok);
    if let Some(tag) = &tag
        && tags.len() > 1
    {
        repository.take_off(tag);
        return Ok(vec![image_id(&digest, Some(tag))]);
    }
    if let Some(index) = referenced.get(&digest) {
        let reason = format!("Requested image referenced by manifest list: [{index}]");
        return Err(("ImageReferencedByManifestList", reason));
    }
    repository.remove(&digest);
    if tags.is_empty() {
        return Ok(vec![image_id(&digest, None)]);
    }
    Ok(tags.iter().map(|tag| image_id(&digest, Some(tag))).collect())
}

fn joined(items: impl IntoIterator<Item = impl Display>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    items.join(", ")
}
