//! The changes of one stage in one repository: waves of writes, the read-back, the removals.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _};
use tokio::time::Instant;

use super::lookahead::Lookahead;
use super::run::{Lanes, Run, to_failure};
use crate::changeset::Change;
use crate::event::{ChangeResult, NotAttempted};
use crate::model::{Digest, RepositoryName, Tag};
use crate::registry::{
    FailureCode, FetchedImage, FetchedImages, IDS_PER_CALL, ImageId, Kind, Operation, Registry, RegistryError,
};

/// A reading older than this is made anew before a tag is written; the promise is one second.
pub(super) const READING_AGE_MAX: Duration = Duration::from_millis(900);

/// How many calls one repository is read back with at once, as far as there are places for reads.
const READS_AT_ONCE: usize = 16;

/// How long a written tag may take to show its digest.
const READ_BACK_MAX: Duration = Duration::from_secs(5);
const READ_BACK_PAUSE: Duration = Duration::from_millis(500);

pub(super) struct Work<'a> {
    pub(super) run: &'a Run<'a>,
    pub(super) registry: &'a Registry,
    pub(super) lanes: &'a Lanes,
    pub(super) repository: &'a RepositoryName,
    pub(super) writes: Vec<usize>,
    pub(super) removals: Vec<usize>,
    index_of: BTreeMap<&'a Tag, usize>,
    tags: Lookahead<Tag, Reading>,
    manifests: Lookahead<Digest, Fetched>,
}

/// Where a tag was when it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reading {
    At(Digest),
    Absent,
    /// It may exist, but its image was not handed out.
    Unreadable(RegistryError),
}

/// A manifest, if it could be had and is the one its digest promises.
pub(super) type Fetched = Result<Arc<Manifest>, RegistryError>;

/// A manifest, byte for byte as ECR gave it.
#[derive(Debug)]
pub(super) struct Manifest {
    pub(super) text: String,
    pub(super) media_type: Option<String>,
}

impl<'a> Work<'a> {
    pub(super) fn new(run: &'a Run<'a>, indexes: &[usize]) -> Option<Self> {
        let at = |index: &usize| Some((*index, run.changes.get(*index)?));
        let changes: Vec<(usize, &Change)> = indexes.iter().filter_map(at).collect();
        let (_, first) = changes.first()?;
        let (registry, lanes) = run.registry(&first.address.registry)?;
        let (removals, mut writes): (Vec<_>, Vec<_>) =
            changes.iter().partition(|(_, change)| change.action.is_removal());
        writes.sort_by_key(|(index, change)| (change.wave, *index));
        let digests = writes.iter().filter_map(|(_, change)| change.action.after());
        Some(Self {
            run,
            registry,
            lanes,
            repository: &first.address.repository,
            index_of: changes
                .iter()
                .map(|(index, change)| (&change.address.tag, *index))
                .collect(),
            tags: Lookahead::new(writes.iter().map(|(_, change)| change.address.tag.clone())),
            manifests: Lookahead::new(digests),
            writes: writes.into_iter().map(|(index, _)| index).collect(),
            removals: removals.into_iter().map(|(index, _)| index).collect(),
        })
    }

    pub(super) async fn carry_out(&self) {
        let mut waves: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        for &index in &self.writes {
            let wave = self.run.changes.get(index).map_or(0, |change| change.wave);
            waves.entry(wave).or_default().push(index);
        }
        for indexes in waves.into_values() {
            let at_once = indexes.len().clamp(1, 1_000);
            futures::stream::iter(indexes)
                .map(|index| self.write(index))
                .buffer_unordered(at_once)
                .collect::<()>()
                .await;
        }
        if self.run.options.verifies {
            self.read_back().await;
        }
        self.remove().await;
    }

    /// Whether a change of an earlier wave, which this one was to wait for, did not succeed.
    pub(super) fn waits_in_vain(&self, change: &Change) -> bool {
        let Some(before) = change.action.before() else {
            return false;
        };
        self.writes
            .iter()
            .filter_map(|&index| Some((index, self.run.changes.get(index)?)))
            .take_while(|(_, earlier)| earlier.wave < change.wave)
            .any(|(index, earlier)| earlier.action.after() == Some(before) && !self.run.has_succeeded(index))
    }

    /// The change of this stage that sets this tag.
    pub(super) fn index_of(&self, tag: &Tag) -> Option<usize> {
        self.index_of.get(tag).copied()
    }

    /// Where a tag is, and when the call that read it was sent: a moment ago, unless the answer was slow.
    pub(super) async fn reading(&self, tag: &Tag) -> Result<(Instant, Reading), RegistryError> {
        let batch = self.tags_at_once();
        let unanswered = Reading::Unreadable(unanswered(self.repository, Some(tag)));
        self.tags
            .get(tag, READING_AGE_MAX, batch, unanswered, async |tags| {
                self.read_tags(tags).await
            })
            .await
    }

    /// As many tags as will be written before their reading is too old.
    fn tags_at_once(&self) -> usize {
        let puts_per_second = self.registry.pace(Operation::PutImage).per_second();
        whole(puts_per_second * READING_AGE_MAX.as_secs_f64()).clamp(1, IDS_PER_CALL)
    }

    pub(super) fn forget_reading(&self, tag: &Tag) {
        self.tags.forget(tag);
    }

    /// Notes that a change has come to its end, so that what was read for it need not be kept.
    pub(super) fn finish_reading(&self, tag: &Tag, after: Digest) {
        self.tags.finish(tag);
        self.manifests.finish(&after);
    }

    pub(super) async fn read_tags(&self, tags: Vec<Tag>) -> Result<BTreeMap<Tag, Reading>, RegistryError> {
        let mut readings = BTreeMap::new();
        let calls = futures::stream::iter(tags.chunks(IDS_PER_CALL)).map(|chunk| async move {
            let ids: Vec<ImageId> = chunk.iter().cloned().map(ImageId::tag).collect();
            self.fetch(&ids).await
        });
        let mut answers = calls.buffer_unordered(READS_AT_ONCE);
        while let Some(fetched) = answers.try_next().await? {
            readings.extend(self.readings_of(&fetched));
        }
        Ok(readings)
    }

    /// What an answer says about tags.
    fn readings_of(&self, fetched: &FetchedImages) -> BTreeMap<Tag, Reading> {
        let found = fetched
            .images
            .iter()
            .filter_map(|image| Some((image.tag.clone()?, Reading::At(image.digest))));
        let missed = fetched.failures.iter().filter_map(|failure| {
            let tag = failure.id.tag.clone()?;
            let reading = match failure.code {
                FailureCode::NotFound => Reading::Absent,
                _ => Reading::Unreadable(unavailable(self.repository, Some(&tag), failure)),
            };
            Some((tag, reading))
        });
        found.chain(missed).collect()
    }

    /// The manifest of an image, read with those that will be needed next, and hash-checked.
    pub(super) async fn manifest(&self, digest: Digest) -> Fetched {
        let unanswered = Err(unanswered(self.repository, None));
        let (_, manifest) = self
            .manifests
            .get(
                &digest,
                Duration::MAX,
                IDS_PER_CALL,
                unanswered,
                async |digests| self.read_manifests(&digests).await,
            )
            .await?;
        manifest
    }

    /// Reads manifests, and in the same call, if it has room, where the tags are that will be written first.
    ///
    /// ECR does not say whether it answers twice for an image that is asked for by digest and by tag. Whichever
    /// entry comes has the manifest; a tag without one is read again by whoever needs it.
    async fn read_manifests(&self, digests: &[Digest]) -> Result<BTreeMap<Digest, Fetched>, RegistryError> {
        let room = self
            .tags_at_once()
            .min(IDS_PER_CALL.saturating_sub(digests.len()));
        let tags = self.tags.ask_along(READING_AGE_MAX, room);
        let by_digest = digests.iter().copied().map(ImageId::digest);
        let by_tag = tags.keys().iter().cloned().map(ImageId::tag);
        let ids: Vec<ImageId> = by_digest.chain(by_tag).collect();
        let sent_at = Instant::now();
        let fetched = self.fetch(&ids).await?;
        tags.answer(sent_at, self.readings_of(&fetched));
        let mut manifests = BTreeMap::new();
        for image in fetched.images {
            if digests.contains(&image.digest) && !manifests.contains_key(&image.digest) {
                manifests.insert(image.digest, self.checked(image));
            }
        }
        for failure in fetched.failures {
            if let Some(digest) = failure.id.digest {
                manifests.insert(digest, Err(unavailable(self.repository, None, &failure)));
            }
        }
        Ok(manifests)
    }

    /// The manifest of an image, if putting it back makes the same image.
    fn checked(&self, image: FetchedImage) -> Fetched {
        let actual = Digest::of(image.manifest.as_bytes());
        if actual == image.digest {
            return Ok(Arc::new(Manifest {
                text: image.manifest,
                media_type: image.media_type,
            }));
        }
        Err(RegistryError::new(
            Kind::DigestMismatch,
            format!(
                "the manifest of {} that was read has the digest {actual}, so that putting it back would make another \
                 image",
                image.digest
            ),
        )
        .during(Operation::BatchGetImage, Some(self.repository))
        .with_help("an image in the old signed schema 1 format cannot be retagged; push it again"))
    }

    async fn fetch(&self, ids: &[ImageId]) -> Result<FetchedImages, RegistryError> {
        let _lane = self.lanes.reads.acquire().await;
        let attempt = |turn| self.registry.batch_get_image(turn, self.repository, ids);
        let fetched = self
            .registry
            .call(Operation::BatchGetImage, &self.lanes.context, attempt)
            .await?;
        Ok(fetched.value)
    }

    /// Proves every tag that was written; one that does not show its digest in time was moved by somebody else.
    async fn read_back(&self) {
        let was_written = |index: &&usize| self.run.result(**index) == Some(ChangeResult::Done);
        let mut unproved: Vec<(usize, &Change)> = self
            .writes
            .iter()
            .filter(was_written)
            .filter_map(|&index| Some((index, self.run.changes.get(index)?)))
            .collect();
        let deadline = Instant::now() + READ_BACK_MAX;
        while !unproved.is_empty() {
            let tags = unproved
                .iter()
                .map(|(_, change)| change.address.tag.clone())
                .collect();
            let readings = match self.read_tags(tags).await {
                Ok(readings) => readings,
                // The run has ended: what was written stays as ECR acknowledged it.
                Err(error) if matches!(error.kind(), Kind::Cancelled | Kind::DeadlineOver) => return,
                Err(error) => {
                    for (index, _) in unproved {
                        let mut failure = to_failure(&error);
                        failure.message = format!("written, but not read back: {}", failure.message);
                        self.run.overturn(index, ChangeResult::Failed(failure));
                    }
                    return;
                }
            };
            unproved.retain(|(_, change)| {
                let reading = readings.get(&change.address.tag);
                !matches!(reading, Some(Reading::At(digest)) if Some(*digest) == change.action.after())
            });
            if Instant::now() >= deadline {
                for (index, change) in unproved {
                    let now = match readings.get(&change.address.tag) {
                        Some(Reading::At(digest)) => Some(*digest),
                        _ => None,
                    };
                    self.run.overturn(index, ChangeResult::Stale { now });
                }
                return;
            }
            if !unproved.is_empty() {
                tokio::time::sleep(READ_BACK_PAUSE).await;
            }
        }
    }

    /// The first tag that a change requires and that is not on the image it must keep.
    pub(super) async fn unmet_requirement(&self, change: &Change) -> Result<Option<Tag>, RegistryError> {
        let mut unknown = Vec::new();
        for tag in &change.requires {
            match self.index_of(tag) {
                Some(index) if self.run.has_succeeded(index) => {}
                Some(_) => return Ok(Some(tag.clone())),
                None => unknown.push(tag.clone()),
            }
        }
        if unknown.is_empty() {
            return Ok(None);
        }
        let readings = self.read_tags(unknown.clone()).await?;
        let before = change.action.before();
        Ok(unknown
            .into_iter()
            .find(|tag| !matches!(readings.get(tag), Some(Reading::At(digest)) if Some(*digest) == before)))
    }

    pub(super) fn not_attempted(&self, index: usize, why: NotAttempted) {
        self.run.settle(index, ChangeResult::NotAttempted(why), 0, None);
    }
}

/// The number without its fraction, at most as much as one call takes.
fn whole(number: f64) -> usize {
    (1..=100_u8).take_while(|&n| f64::from(n) <= number).count()
}

fn unanswered(repository: &RepositoryName, tag: Option<&Tag>) -> RegistryError {
    RegistryError::new(
        Kind::UnexpectedAnswer,
        "the answer does not mention an image that was asked for",
    )
    .during(Operation::BatchGetImage, Some(repository))
    .on_tag(tag)
}

fn unavailable(
    repository: &RepositoryName,
    tag: Option<&Tag>,
    failure: &crate::registry::Failure,
) -> RegistryError {
    let kind = match failure.code {
        FailureCode::NotFound => Kind::ImageNotFound,
        _ => Kind::ImageUnavailable,
    };
    RegistryError::new(kind, failure.reason.clone())
        .during(Operation::BatchGetImage, Some(repository))
        .on_tag(tag)
        .answered(Some(&failure.code_text), None, None)
}
