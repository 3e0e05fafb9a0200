//! Reads images: ListImages, DescribeImages and BatchGetImage.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::error::ErrorAnswer;
use super::manifest::{self, MediaType};
use super::repository::{Cursor, Image, Repository};
use super::request::ImageId;
use super::{Answer, Call, State, page};
use crate::model::{Digest, Tag};

/// How precise ECR's record of the last pull is (API model: "at least every 24 hours").
const PULL_RECORD_INTERVAL: SignedDuration = SignedDuration::from_hours(24);

/// Why an id of a batch call failed: a code and a reason.
pub(super) type Failure = (&'static str, String);

impl State {
    /// One id for each tag and each untagged image, in the order the images were pushed.
    pub(super) fn list_images(&self, call: &Call<'_>) -> Answer {
        let name = call.request.repository_name()?;
        let page = call.request.page()?;
        let filter = call.request.filter()?;
        let repository = self.repository(call, &name)?;
        let scope = call.list_scope(&name, &format!("{filter:?}"));
        let cursor = page
            .position(&scope)?
            .map_or_else(Cursor::default, |position| Cursor::from_position(&position));
        let mut entries: Vec<_> = repository
            .entries_from(&cursor, filter)
            .take(page.entries_max + 1)
            .collect();
        let has_more = entries.len() > page.entries_max;
        entries.truncate(page.entries_max);
        let ids = entries
            .iter()
            .map(|(_, image, tag)| image_id(&image.digest, *tag))
            .collect();
        let mut answer = Map::new();
        answer.insert("imageIds".to_owned(), Value::Array(ids));
        if has_more && let Some(&(number, _, tag)) = entries.last() {
            let position = Cursor {
                number: if tag.is_some() { number } else { number + 1 },
                tag: tag.cloned(),
            };
            answer.insert(
                "nextToken".to_owned(),
                page::seal(&scope, &position.to_position()).into(),
            );
        }
        Ok(Value::Object(answer))
    }

    /// All about images: of the ids given, or page by page.
    pub(super) fn describe_images(&self, call: &Call<'_>) -> Answer {
        let name = call.request.repository_name()?;
        let page = call.request.page()?;
        let filter = call.request.filter()?;
        let ids = call.request.image_ids()?;
        let repository = self.repository(call, &name)?;
        let detail = |image: &Image| to_detail(image, call, name.as_str());
        if let Some(ids) = ids {
            page.must_not_be_given("imageIds")?;
            let mut seen = BTreeSet::new();
            let mut details = Vec::new();
            for id in &ids {
                // Whether an id reaches past the default of active images is not documented; the stricter reading
                // is that it does not.
                let image = find(repository, id)
                    .ok()
                    .filter(|image| image.passes(filter))
                    .ok_or_else(|| image_not_found(id, call, name.as_str()))?;
                if seen.insert(image.digest) {
                    details.push(detail(image));
                }
            }
            return Ok(json!({ "imageDetails": details }));
        }
        let scope = call.list_scope(&name, &format!("{filter:?}"));
        let start = page
            .position(&scope)?
            .and_then(|position| position.parse().ok())
            .unwrap_or_default();
        let mut images = repository.images_from(start, filter);
        let details: Vec<Value> = images
            .by_ref()
            .take(page.entries_max)
            .map(|(_, image)| detail(image))
            .collect();
        let mut answer = json!({ "imageDetails": details });
        if let Some((next, _)) = images.next() {
            insert(&mut answer, "nextToken", page::seal(&scope, &next.to_string()));
        }
        Ok(answer)
    }

    /// Manifests of up to 100 ids; an id that fails is reported beside the others.
    ///
    /// By digest the stored bytes are answered. By tag, an image of a type that is not in `acceptedMediaTypes` is
    /// converted between Docker and OCI, which gives it another digest, or else not found. Without
    /// `acceptedMediaTypes` the stored bytes are answered: AWS's own recipe for retagging relies on it, though the
    /// API model does not say so.
    pub(super) fn batch_get_image(&mut self, call: &Call<'_>) -> Answer {
        let name = call.request.repository_name()?;
        let ids = call
            .request
            .image_ids()?
            .ok_or_else(|| ErrorAnswer::invalid("imageIds", "must not be null"))?;
        let accepted = call.request.texts("acceptedMediaTypes")?;
        let repository = self.repository_mut(call, &name)?;
        let mut images = Vec::new();
        let mut failures = Vec::new();
        let mut answered = BTreeSet::new();
        for id in ids {
            if !answered.insert(id.clone()) {
                continue;
            }
            match served(repository, &id, accepted.as_deref()) {
                Ok(served) => {
                    images.push(json!({
                        "registryId": call.account().as_str(),
                        "repositoryName": name.as_str(),
                        "imageId": image_id(&served.digest, id.parsed_tag().and_then(Result::ok).as_ref()),
                        "imageManifest": served.manifest,
                        "imageManifestMediaType": served.media_type.as_str(),
                    }));
                    record_pull(repository, &served.stored, call.now);
                }
                Err(failure) => failures.push(to_failure(&id, &failure)),
            }
        }
        Ok(json!({ "images": images, "failures": failures }))
    }
}

struct Served {
    stored: Digest,
    digest: Digest,
    manifest: String,
    media_type: MediaType,
}

fn served(repository: &Repository, id: &ImageId, accepted: Option<&[&str]>) -> Result<Served, Failure> {
    let image = find(repository, id)?;
    if image.is_archived() {
        let reason = "Requested image is archived and can not be pulled".to_owned();
        return Err(("ImageInaccessible", reason));
    }
    let is_accepted =
        |media_type: MediaType| accepted.is_none_or(|accepted| accepted.contains(&media_type.as_str()));
    if id.digest.is_some() || is_accepted(image.media_type) {
        return Ok(Served {
            stored: image.digest,
            digest: image.digest,
            manifest: image.manifest.to_string(),
            media_type: image.media_type,
        });
    }
    [MediaType::DockerManifest, MediaType::OciManifest]
        .into_iter()
        .filter(|&media_type| is_accepted(media_type))
        .find_map(|media_type| {
            let manifest = manifest::convert(&image.manifest, image.media_type, media_type)?;
            Some(Served {
                stored: image.digest,
                digest: Digest::of(manifest.as_bytes()),
                manifest,
                media_type,
            })
        })
        .ok_or_else(|| {
            let reason = "Requested image not found in an accepted media type".to_owned();
            ("ImageNotFound", reason)
        })
}

/// A pull is recorded at most once a day, so that reading is cheap.
fn record_pull(repository: &mut Repository, digest: &Digest, now: Timestamp) {
    let Some(image) = repository.image_mut(digest) else {
        return;
    };
    let is_recent = image
        .rare()
        .and_then(|rare| rare.pulled_at)
        .is_some_and(|pulled_at| now.duration_since(pulled_at) < PULL_RECORD_INTERVAL);
    if !is_recent {
        image.rare_mut().pulled_at = Some(now);
    }
}

/// The image that an id names, or why it names none.
pub(super) fn find<'a>(repository: &'a Repository, id: &ImageId) -> Result<&'a Image, Failure> {
    let not_found = || ("ImageNotFound", "Requested image not found".to_owned());
    let digest = id.parsed_digest().transpose().map_err(|()| {
        let reason = "Invalid request parameters: image digest should satisfy the regex \
                      '[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+'";
        ("InvalidImageDigest", reason.to_owned())
    })?;
    let tag = id.parsed_tag().transpose().map_err(|()| {
        let reason = "Invalid request parameters: image tag should satisfy the regex '[a-zA-Z0-9-_.]+'";
        ("InvalidImageTag", reason.to_owned())
    })?;
    match (digest, tag) {
        (None, None) => {
            let reason = "Invalid request parameters: both tag and digest cannot be null";
            Err(("MissingDigestAndTag", reason.to_owned()))
        }
        (Some(digest), None) => repository.image(&digest).ok_or_else(not_found),
        (None, Some(tag)) => repository.tagged(&tag).ok_or_else(not_found),
        (Some(digest), Some(tag)) => {
            let image = repository.image(&digest).ok_or_else(not_found)?;
            let is_on_it = image.tags().binary_search(&tag).is_ok();
            is_on_it.then_some(image).ok_or_else(|| {
                let reason = "Requested image tag does not match the digest".to_owned();
                ("ImageTagDoesNotMatchDigest", reason)
            })
        }
    }
}

pub(super) fn to_failure(id: &ImageId, (code, reason): &Failure) -> Value {
    let mut named = Map::new();
    if let Some(digest) = &id.digest {
        named.insert("imageDigest".to_owned(), Value::from(digest.as_str()));
    }
    if let Some(tag) = &id.tag {
        named.insert("imageTag".to_owned(), Value::from(tag.as_str()));
    }
    json!({ "imageId": named, "failureCode": code, "failureReason": reason })
}

pub(super) fn image_id(digest: &Digest, tag: Option<&Tag>) -> Value {
    let mut id = Map::new();
    id.insert("imageDigest".to_owned(), Value::from(digest.to_string()));
    if let Some(tag) = tag {
        id.insert("imageTag".to_owned(), Value::from(tag.as_str()));
    }
    Value::Object(id)
}

fn image_not_found(id: &ImageId, call: &Call<'_>, repository: &str) -> ErrorAnswer {
    let or_null = |text: &Option<String>| text.clone().unwrap_or_else(|| "null".to_owned());
    ErrorAnswer::client(
        "ImageNotFoundException",
        format!(
            "The image with imageId {{imageDigest:'{}', imageTag:'{}'}} does not exist within the repository with \
             name '{repository}' in the registry with id '{}'",
            or_null(&id.digest),
            or_null(&id.tag),
            call.account()
        ),
    )
}

fn to_detail(image: &Image, call: &Call<'_>, repository: &str) -> Value {
    let mut detail = json!({
        "registryId": call.account().as_str(),
        "repositoryName": repository,
        "imageDigest": image.digest.to_string(),
    });
    if !image.tags().is_empty() {
        let tags: Vec<&str> = image.tags().iter().map(Tag::as_str).collect();
        insert(&mut detail, "imageTags", tags);
    }
    insert(&mut detail, "imageSizeInBytes", image.size_bytes);
    insert(&mut detail, "imagePushedAt", epoch_seconds(image.pushed_at));
    insert(&mut detail, "imageManifestMediaType", image.media_type.as_str());
    if let Some(artifact) = image.artifact() {
        insert(&mut detail, "artifactMediaType", artifact);
    }
    let status = if image.is_archived() { "ARCHIVED" } else { "ACTIVE" };
    insert(&mut detail, "imageStatus", status);
    let rare = image.rare();
    if let Some(subject) = image.subject() {
        insert(&mut detail, "subjectManifestDigest", subject.to_string());
    }
    for (name, time) in [
        ("lastRecordedPullTime", rare.and_then(|rare| rare.pulled_at)),
        ("lastArchivedAt", rare.and_then(|rare| rare.archived_at)),
        ("lastActivatedAt", rare.and_then(|rare| rare.activated_at)),
    ] {
        if let Some(time) = time {
            insert(&mut detail, name, epoch_seconds(time));
        }
    }
    detail
}

/// Times are numbers of seconds, with a fraction, on the wire (AWS JSON 1.1).
pub(super) fn epoch_seconds(time: Timestamp) -> Value {
    Value::from(time.as_duration().as_secs_f64())
}

fn insert(object: &mut Value, name: &str, value: impl Into<Value>) {
    if let Some(members) = object.as_object_mut() {
        members.insert(name.to_owned(), value.into());
    }
}

impl Cursor {
    fn to_position(&self) -> String {
        let tag = self.tag.as_ref().map_or("", Tag::as_str);
        format!("{} {tag}", self.number)
    }

    fn from_position(position: &str) -> Self {
        let (number, tag) = position.split_once(' ').unwrap_or((position, ""));
        Self {
            number: number.parse().unwrap_or_default(),
            tag: tag.parse().ok(),
        }
    }
}
