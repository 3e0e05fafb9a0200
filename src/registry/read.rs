//! Reads that take as many ids as there are, in as few calls as ECR allows.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use tokio::sync::Semaphore;

use super::ecr::IDS_PER_CALL;
use super::{
    CallContext, Failure, FailureCode, FetchedImages, ImageDetail, ImageId, Kind, Operation, Registry,
    RegistryError, Turn,
};
use crate::model::{Digest, RepositoryName, Tag};

/// Calls that read, at most so many at once, whichever repositories they are for.
#[derive(Debug)]
pub struct Reader<'a> {
    /// What is read.
    pub registry: &'a Registry,
    context: &'a CallContext,
    calls: Semaphore,
}

/// What exists of the images that were asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Resolved {
    /// The tags that exist, each with its image.
    pub tags: BTreeMap<Tag, Digest>,
    /// The images that exist, of those that were asked for by digest.
    pub digests: BTreeSet<Digest>,
}

impl<'a> Reader<'a> {
    /// How many calls are made at once.
    pub const CALLS_MAX: usize = 16;

    /// Reads this registry.
    pub fn new(registry: &'a Registry, context: &'a CallContext) -> Self {
        Self {
            registry,
            context,
            calls: Semaphore::new(Self::CALLS_MAX),
        }
    }

    pub(super) fn repositories_found(&self, count: usize) {
        self.context
            .observer()
            .repositories_found(self.registry.key(), count);
    }

    /// Makes one call, repeated as [`Registry::call`] says, once one of the places is free.
    pub(super) async fn call<T, F>(
        &self,
        operation: Operation,
        attempt: impl FnMut(Turn) -> F,
    ) -> Result<T, RegistryError>
    where
        F: Future<Output = Result<T, RegistryError>>,
    {
        // The semaphore is never closed; were it, reading on without a place does no harm.
        let _place = self.context.wait_for(self.calls.acquire()).await?;
        let done = self.registry.call(operation, self.context, attempt).await?;
        Ok(done.value)
    }

    /// Says on which images these tags are, and which of these images exist; 100 ids a call.
    ///
    /// What is neither in the answer nor said to be missing is asked for again by itself, so that nothing counts as
    /// missing without ECR having said so. Fails with [`Kind::ImageUnavailable`] for an image that may exist and is
    /// not handed out, such as one that an upstream registry should have given.
    pub async fn resolve(
        &self,
        repository: &RepositoryName,
        tags: &BTreeSet<Tag>,
        digests: &BTreeSet<Digest>,
    ) -> Result<Resolved, RegistryError> {
        let ids = tags.iter().cloned().map(ImageId::tag);
        let ids: Vec<ImageId> = ids.chain(digests.iter().copied().map(ImageId::digest)).collect();
        let mut resolved = Resolved::default();
        let mut unanswered = Vec::new();
        let mut answers = self.fetch_all(repository, &ids, IDS_PER_CALL);
        while let Some((asked, fetched)) = answers.try_next().await? {
            unanswered.extend(resolved.take(repository, asked, &fetched)?);
        }
        drop(answers);
        let mut answers = self.fetch_all(repository, &unanswered, 1);
        while let Some((asked, fetched)) = answers.try_next().await? {
            if !resolved.take(repository, asked, &fetched)?.is_empty() {
                return Err(silent_about(repository, asked));
            }
        }
        drop(answers);
        Ok(resolved)
    }

    fn fetch_all<'b>(
        &'b self,
        repository: &'b RepositoryName,
        ids: &'b [ImageId],
        per_call: usize,
    ) -> BoxStream<'b, Result<(&'b [ImageId], FetchedImages), RegistryError>> {
        let calls = stream::iter(ids.chunks(per_call)).map(move |asked| async move {
            let fetched = self.call(Operation::BatchGetImage, |turn| {
                self.registry.batch_get_image(turn, repository, asked)
            });
            Ok((asked, fetched.await?))
        });
        calls.buffer_unordered(Self::CALLS_MAX).boxed()
    }

    /// Describes these images, 100 a call; those that do not exist are left out.
    pub async fn describe(
        &self,
        repository: &RepositoryName,
        digests: &BTreeSet<Digest>,
    ) -> Result<Vec<ImageDetail>, RegistryError> {
        let digests: Vec<Digest> = digests.iter().copied().collect();
        let calls: Vec<_> = digests
            .chunks(IDS_PER_CALL)
            .map(|digests| {
                self.all_but_missing(
                    Operation::DescribeImages,
                    Kind::ImageNotFound,
                    digests.to_vec(),
                    |turn, digests| async move {
                        self.registry
                            .describe_images_by_digest(turn, repository, &digests)
                            .await
                    },
                )
            })
            .collect();
        let found: Vec<_> = stream::iter(calls)
            .buffer_unordered(Self::CALLS_MAX)
            .try_collect()
            .await?;
        Ok(found.into_iter().flatten().collect())
    }

    /// Makes a call that fails as a whole if one of its keys does not exist, until it has all that exist.
    ///
    /// The missing key is taken out by its name if the error names one that was asked for, else found by halving.
    pub(super) async fn all_but_missing<K, T, F>(
        &self,
        operation: Operation,
        missing_kind: Kind,
        keys: Vec<K>,
        call: impl Fn(Turn, Vec<K>) -> F,
    ) -> Result<Vec<T>, RegistryError>
    where
        K: Clone + Display,
        F: Future<Output = Result<Vec<T>, RegistryError>>,
    {
        let mut found = Vec::new();
        let mut open = vec![keys];
        while let Some(mut keys) = open.pop() {
            if keys.is_empty() {
                continue;
            }
            let error = match self.call(operation, |turn| call(turn, keys.clone())).await {
                Ok(items) => {
                    found.extend(items);
                    continue;
                }
                Err(error) if error.kind() == missing_kind => error,
                Err(error) => return Err(error),
            };
            let named = keys
                .iter()
                .position(|key| error.message().contains(&format!("'{key}'")));
            match named {
                Some(at) => drop(keys.remove(at)),
                None if keys.len() == 1 => continue,
                None => open.push(keys.split_off(keys.len() / 2)),
            }
            open.push(keys);
        }
        Ok(found)
    }
}

impl Resolved {
    /// Takes over an answer; gives the ids that it is silent about.
    fn take(
        &mut self,
        repository: &RepositoryName,
        asked: &[ImageId],
        fetched: &FetchedImages,
    ) -> Result<Vec<ImageId>, RegistryError> {
        let is_refused = |failure: &&Failure| failure.code != FailureCode::NotFound;
        if let Some(failure) = fetched.failures.iter().find(is_refused) {
            return Err(refused(repository, asked, failure));
        }
        if let ([asked], [image]) = (asked, fetched.images.as_slice()) {
            self.insert(asked, image.digest);
            return Ok(Vec::new());
        }
        if let ([_], [], [_]) = (asked, fetched.images.as_slice(), fetched.failures.as_slice()) {
            return Ok(Vec::new());
        }
        let by_tag: BTreeMap<&Tag, Digest> = fetched
            .images
            .iter()
            .filter_map(|image| Some((image.tag.as_ref()?, image.digest)))
            .collect();
        let by_digest: BTreeSet<Digest> = fetched.images.iter().map(|image| image.digest).collect();
        let missing: BTreeSet<&ImageId> = fetched.failures.iter().map(|failure| &failure.id).collect();
        let mut unanswered = Vec::new();
        for id in asked {
            let digest = match (&id.tag, id.digest) {
                (Some(tag), _) => by_tag.get(tag).copied(),
                (None, digest) => digest.filter(|digest| by_digest.contains(digest)),
            };
            match digest {
                Some(digest) => self.insert(id, digest),
                None if missing.contains(id) => {}
                None => unanswered.push(id.clone()),
            }
        }
        Ok(unanswered)
    }

    fn insert(&mut self, id: &ImageId, digest: Digest) {
        match &id.tag {
            Some(tag) => drop(self.tags.insert(tag.clone(), digest)),
            None => drop(self.digests.insert(digest)),
        }
    }
}

fn refused(repository: &RepositoryName, asked: &[ImageId], failure: &Failure) -> RegistryError {
    let kind = match failure.code {
        FailureCode::Unavailable => Kind::ImageUnavailable,
        FailureCode::NotFound | FailureCode::TagElsewhere | FailureCode::Referenced | FailureCode::Other => {
            Kind::Invalid
        }
    };
    let tag = failure.id.tag.as_ref().or(match asked {
        [only] => only.tag.as_ref(),
        _ => None,
    });
    let message = match failure.id.digest {
        Some(digest) if tag.is_none() => format!("{digest}: {}", failure.reason),
        _ => failure.reason.clone(),
    };
    RegistryError::new(kind, message)
        .during(Operation::BatchGetImage, Some(repository))
        .on_tag(tag)
        .answered(Some(&failure.code_text), None, Some(200))
}

fn silent_about(repository: &RepositoryName, asked: &[ImageId]) -> RegistryError {
    RegistryError::new(
        Kind::UnexpectedAnswer,
        "the answer is silent about an image that was asked for",
    )
    .during(Operation::BatchGetImage, Some(repository))
    .on_tag(asked.first().and_then(|id| id.tag.as_ref()))
}
