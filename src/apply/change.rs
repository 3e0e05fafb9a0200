//! One write: read the tag again, compare, put, and believe no answer that was lost.

use tokio::time::Instant;

use super::repository::{Manifest, READING_AGE_MAX, Reading, Work};
use crate::changeset::Change;
use crate::event::{ChangeResult, NotAttempted};
use crate::model::{Address, Digest};
use crate::registry::{Attempted, Kind, Operation, PutImage, RegistryError, Turn};

/// What an attempt came to, where another one is of no use.
enum Step {
    /// ECR took the write.
    Written { request_id: Option<String> },
    /// The tag is on its image.
    Right,
    /// The tag is somewhere else than the changeset says.
    Stale { now: Option<Digest> },
    /// Something other than the write failed for good.
    Failed(RegistryError),
}

/// Where a tag is, compared with the changeset.
enum Compared {
    /// No write is needed, or none is allowed.
    Ended(Step),
    /// It is where the changeset found it, according to a read that was sent then.
    AsShown { read_at: Instant },
}

impl Work<'_> {
    /// Makes one create or move.
    pub(super) async fn write(&self, index: usize) {
        let Some(change) = self.run.changes.get(index) else {
            return;
        };
        let Some(after) = change.action.after() else {
            return;
        };
        let _admitted = self.lanes.admission.acquire().await;
        // Thousands wait for admission; what they need once they are in would be kept for each of them.
        Box::pin(self.write_admitted(index, change, after)).await;
    }

    async fn write_admitted(&self, index: usize, change: &Change, after: Digest) {
        if self.lanes.context.check().is_err() {
            return self.not_attempted(index, NotAttempted::Stopped);
        }
        if self.waits_in_vain(change) {
            return self.not_attempted(index, NotAttempted::EarlierFailed);
        }
        self.run.start(change);
        match self.unmet_requirement(change).await {
            Ok(None) => {}
            Ok(Some(tag)) => {
                let address = Address {
                    tag,
                    ..change.address.clone()
                };
                return self.not_attempted(index, NotAttempted::RequirementUnmet(address));
            }
            Err(error) => return self.run.fail(index, &error),
        }
        let manifest = match self.manifest(after).await {
            Ok(manifest) => manifest,
            Err(error) => return self.run.fail(index, &error),
        };
        let attempt = |turn| self.attempt(index, change, after, &manifest, turn);
        let attempted = self
            .registry
            .call(Operation::PutImage, &self.lanes.context, attempt)
            .await;
        self.conclude(index, change, after, attempted).await;
        self.finish_reading(&change.address.tag, after);
    }

    async fn attempt(
        &self,
        index: usize,
        change: &Change,
        after: Digest,
        manifest: &Manifest,
        turn: Turn,
    ) -> Result<Step, RegistryError> {
        // Once here, with the tags that come next, so that the lane below is not held while reading.
        if let Compared::Ended(step) = self.compare(change, after).await {
            return Ok(step);
        }
        let _lane = self.lanes.puts.acquire().await;
        match self.compare(change, after).await {
            Compared::Ended(step) => return Ok(step),
            Compared::AsShown { read_at } if read_at.elapsed() >= READING_AGE_MAX => {
                return Err(self.read_too_slowly(change));
            }
            Compared::AsShown { .. } => {}
        }
        self.lanes.context.check()?;
        if let Err(error) = self.run.intend(index) {
            return Ok(Step::Failed(error));
        }
        let put = PutImage {
            repository: self.repository,
            tag: &change.address.tag,
            digest: after,
            manifest: &manifest.text,
            media_type: manifest.media_type.as_deref(),
        };
        let answer = self.registry.put_image(turn, put).await;
        self.forget_reading(&change.address.tag);
        let error = match answer {
            Ok(put) => {
                return Ok(Step::Written {
                    request_id: put.request_id,
                });
            }
            Err(error) => error,
        };
        match error.kind() {
            // Also on an immutable tag that is on this very image.
            Kind::AlreadyExists | Kind::TagImmutable => {
                self.run.was_refused(index);
                Ok(match self.compare(change, after).await {
                    Compared::Ended(Step::Stale { .. }) | Compared::AsShown { .. }
                        if error.kind() == Kind::TagImmutable =>
                    {
                        Step::Failed(error)
                    }
                    Compared::Ended(step) => step,
                    // It was on this image when ECR said so, and is back where it was before.
                    Compared::AsShown { .. } => Step::Stale {
                        now: change.action.before(),
                    },
                })
            }
            kind => {
                if !kind.may_have_taken_effect() {
                    self.run.was_refused(index);
                }
                Err(error)
            }
        }
    }

    /// Compares the tag with the changeset.
    async fn compare(&self, change: &Change, after: Digest) -> Compared {
        let (read_at, now) = match self.reading(&change.address.tag).await {
            Ok((read_at, Reading::At(digest))) => (read_at, Some(digest)),
            Ok((read_at, Reading::Absent)) => (read_at, None),
            Ok((_, Reading::Unreadable(error))) | Err(error) => return Compared::Ended(Step::Failed(error)),
        };
        if now == Some(after) {
            Compared::Ended(Step::Right)
        } else if now == change.action.before() {
            Compared::AsShown { read_at }
        } else {
            Compared::Ended(Step::Stale { now })
        }
    }

    /// The answer took so long that the tag may have moved since: as good as none.
    fn read_too_slowly(&self, change: &Change) -> RegistryError {
        RegistryError::new(
            Kind::Transient,
            "it takes longer than a second to read where the tag is, so that it cannot be written safely",
        )
        .during(Operation::BatchGetImage, Some(self.repository))
        .on_tag(Some(&change.address.tag))
    }

    async fn conclude(
        &self,
        index: usize,
        change: &Change,
        after: Digest,
        attempted: Result<Attempted<Step>, RegistryError>,
    ) {
        let run = self.run;
        let (step, attempts) = match attempted {
            Ok(Attempted { value, attempts }) => (value, attempts),
            Err(error) if matches!(error.kind(), Kind::Cancelled | Kind::DeadlineOver) => {
                // A call whose answer is not known stays open in the journal.
                if !run.is_open(index) {
                    self.not_attempted(index, NotAttempted::Stopped);
                }
                return;
            }
            Err(error) => {
                let attempts = error.attempts();
                let may_have_landed = run.is_open(index);
                if may_have_landed && let Compared::Ended(Step::Right) = self.compare(change, after).await {
                    (Step::Right, attempts)
                } else {
                    (Step::Failed(error), attempts)
                }
            }
        };
        match step {
            Step::Written { request_id } => {
                run.succeed(self.registry.key());
                run.settle(index, ChangeResult::Done, attempts, request_id.as_deref());
            }
            // Ours, if a call of ours may have taken effect although its answer was lost.
            Step::Right => {
                let is_ours = run.is_open(index);
                run.succeed(self.registry.key());
                let result = if is_ours {
                    ChangeResult::Done
                } else {
                    ChangeResult::AlreadyDone
                };
                run.settle(index, result, attempts, None);
            }
            Step::Stale { now } => run.settle(index, ChangeResult::Stale { now }, attempts, None),
            Step::Failed(error) => run.fail(index, &error),
        }
    }
}
