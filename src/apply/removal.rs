//! Removals: never the last tag of an image, never before every target of the source is proved.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use super::repository::{Reading, Work};
use crate::changeset::Change;
use crate::event::{ChangeResult, Failure, NotAttempted};
use crate::model::{Address, Digest, Tag};
use crate::registry::{FailureCode, IDS_PER_CALL, ImageDetail, Kind, Operation, RegistryError, Turn};

/// Removals that go in one call: no two of them on the same image.
type Batch<'a> = BTreeMap<usize, (&'a Change, Digest)>;

impl Work<'_> {
    /// Makes the removals, in calls of at most 100 images.
    pub(super) async fn remove(&self) {
        let mut left: Vec<(usize, &Change, Digest)> = self
            .removals
            .iter()
            .filter_map(|&index| {
                let change = self.run.changes.get(index)?;
                Some((index, change, change.action.before()?))
            })
            .collect();
        while !left.is_empty() {
            let mut images = BTreeSet::new();
            let (now, later): (Vec<_>, Vec<_>) = left
                .into_iter()
                .partition(|(_, _, digest)| images.len() < IDS_PER_CALL && images.insert(*digest));
            left = later;
            let mut batch: Batch<'_> = now
                .into_iter()
                .map(|(index, change, digest)| (index, (change, digest)))
                .collect();
            self.leave_out_unproved(&mut batch);
            if !batch.is_empty() {
                self.remove_batch(batch).await;
            }
        }
    }

    fn leave_out_unproved(&self, batch: &mut Batch<'_>) {
        batch.retain(|&index, (change, _)| {
            if self.lanes.context.check().is_err() {
                self.not_attempted(index, NotAttempted::Stopped);
                return false;
            }
            let unmet = change.requires.iter().find(|tag| {
                self.index_of(tag)
                    .is_some_and(|index| !self.run.has_succeeded(index))
            });
            if let Some(tag) = unmet {
                let address = Address {
                    tag: tag.clone(),
                    ..change.address.clone()
                };
                self.not_attempted(index, NotAttempted::RequirementUnmet(address));
            }
            unmet.is_none()
        });
    }

    async fn remove_batch(&self, batch: Batch<'_>) {
        for (change, _) in batch.values() {
            self.run.start(change);
        }
        let attempts = AtomicU32::new(0);
        // Attempts follow each other, so that each finds here what the one before has left.
        let left = Mutex::new(batch);
        let attempt = |turn: Turn| async {
            let attempts = attempts.fetch_add(1, Ordering::Relaxed) + 1;
            let mut batch = std::mem::take(&mut *left.lock().unwrap_or_else(PoisonError::into_inner));
            let done = self.attempt_removal(&mut batch, turn, attempts).await;
            *left.lock().unwrap_or_else(PoisonError::into_inner) = batch;
            done
        };
        let done = self
            .registry
            .call(Operation::BatchDeleteImage, &self.lanes.context, attempt)
            .await;
        if let Err(error) = done {
            let is_over = matches!(error.kind(), Kind::Cancelled | Kind::DeadlineOver);
            let batch = left.into_inner().unwrap_or_else(PoisonError::into_inner);
            for index in batch.into_keys() {
                match (is_over, self.run.is_open(index)) {
                    (true, true) => {}
                    (true, false) => self.not_attempted(index, NotAttempted::Stopped),
                    (false, _) => self.run.fail(index, &error),
                }
            }
        }
    }

    /// Looks at every image again, then removes what may go; what has come to its end leaves the batch.
    async fn attempt_removal(
        &self,
        batch: &mut Batch<'_>,
        turn: Turn,
        attempts: u32,
    ) -> Result<(), RegistryError> {
        let tags: Vec<Tag> = batch
            .values()
            .map(|(change, _)| change.address.tag.clone())
            .collect();
        let readings = match self.read_tags(tags).await {
            Ok(readings) => readings,
            Err(error) => return self.give_up(batch, &error),
        };
        self.settle_by_reading(batch, &readings, attempts);
        let digests: Vec<Digest> = batch.values().map(|(_, digest)| *digest).collect();
        let images = if digests.is_empty() {
            Ok(Vec::new())
        } else {
            self.describe(&digests).await
        };
        match images {
            Ok(images) => self.keep_last_tags(batch, &images),
            Err(error) => return self.give_up(batch, &error),
        }
        if batch.is_empty() {
            return Ok(());
        }
        self.lanes.context.check()?;
        for &index in batch.keys() {
            if let Err(error) = self.run.intend(index) {
                return self.give_up(batch, &error);
            }
        }
        let tags: Vec<Tag> = batch
            .values()
            .map(|(change, _)| change.address.tag.clone())
            .collect();
        let answer = self
            .registry
            .batch_delete_image(turn, self.repository, &tags)
            .await;
        let deleted = match answer {
            Ok(deleted) => deleted,
            Err(error) => {
                if !error.kind().may_have_taken_effect() {
                    for &index in batch.keys() {
                        self.run.was_refused(index);
                    }
                }
                return Err(error);
            }
        };
        let failures: BTreeMap<&Tag, &crate::registry::Failure> = deleted
            .failures
            .iter()
            .filter_map(|failure| Some((failure.id.tag.as_ref()?, failure)))
            .collect();
        for (index, (change, _)) in std::mem::take(batch) {
            let result = match failures.get(&change.address.tag) {
                None => ChangeResult::Done,
                Some(failure) if failure.code == FailureCode::NotFound => ChangeResult::AlreadyDone,
                Some(failure) => ChangeResult::Failed(Failure {
                    message: format!(
                        "`{}:{}` was not removed: {}",
                        self.repository, change.address.tag, failure.reason
                    ),
                    code: Some(failure.code_text.clone()),
                    request_id: deleted.request_id.clone(),
                    help: None,
                }),
            };
            self.run
                .settle(index, result, attempts, deleted.request_id.as_deref());
        }
        Ok(())
    }

    /// A tag that is gone counts as removed; one on another image is stale.
    fn settle_by_reading(&self, batch: &mut Batch<'_>, readings: &BTreeMap<Tag, Reading>, attempts: u32) {
        batch.retain(
            |&index, (change, digest)| match readings.get(&change.address.tag) {
                Some(Reading::At(now)) if now == digest => true,
                Some(Reading::At(now)) => {
                    self.run
                        .settle(index, ChangeResult::Stale { now: Some(*now) }, attempts, None);
                    false
                }
                Some(Reading::Absent) => {
                    let is_ours = self.run.is_open(index);
                    let result = if is_ours {
                        ChangeResult::Done
                    } else {
                        ChangeResult::AlreadyDone
                    };
                    self.run.settle(index, result, attempts, None);
                    false
                }
                Some(Reading::Unreadable(error)) => {
                    self.run.fail(index, error);
                    false
                }
                None => {
                    let error =
                        RegistryError::new(Kind::UnexpectedAnswer, "the answer does not mention the tag")
                            .during(Operation::BatchGetImage, Some(self.repository))
                            .on_tag(Some(&change.address.tag));
                    self.run.fail(index, &error);
                    false
                }
            },
        );
    }

    /// Takes out of the batch whatever is the last tag of its image, or whose targets are not all on the image.
    fn keep_last_tags(&self, batch: &mut Batch<'_>, images: &[ImageDetail]) {
        let tags_of: BTreeMap<Digest, &[Tag]> = images
            .iter()
            .map(|image| (image.digest, image.tags.as_slice()))
            .collect();
        batch.retain(|&index, (change, digest)| {
            let tags = tags_of.get(digest).copied().unwrap_or_default();
            if let Some(tag) = change.requires.iter().find(|tag| !tags.contains(tag)) {
                let address = Address {
                    tag: tag.clone(),
                    ..change.address.clone()
                };
                self.not_attempted(index, NotAttempted::RequirementUnmet(address));
                return false;
            }
            let has_another = tags.iter().any(|tag| *tag != change.address.tag);
            if !has_another {
                let failure = Failure {
                    message: format!(
                        "`{}:{}` is now the last tag of its image, and removing it would delete the image",
                        self.repository, change.address.tag
                    ),
                    code: None,
                    request_id: None,
                    help: Some("plan again: somebody has taken the image's other tags".to_owned()),
                };
                self.run.settle(index, ChangeResult::Failed(failure), 0, None);
            }
            has_another
        });
    }

    async fn describe(&self, digests: &[Digest]) -> Result<Vec<ImageDetail>, RegistryError> {
        let _lane = self.lanes.reads.acquire().await;
        let attempt = async |turn| {
            self.registry
                .describe_images_by_digest(turn, self.repository, digests)
                .await
        };
        let described = self
            .registry
            .call(Operation::DescribeImages, &self.lanes.context, attempt)
            .await?;
        Ok(described.value)
    }

    /// A read failed for good: so has every removal that needed it.
    fn give_up(&self, batch: &mut Batch<'_>, error: &RegistryError) -> Result<(), RegistryError> {
        if matches!(error.kind(), Kind::Cancelled | Kind::DeadlineOver) {
            return Err(error.clone());
        }
        for index in std::mem::take(batch).into_keys() {
            self.run.fail(index, error);
        }
        Ok(())
    }
}
