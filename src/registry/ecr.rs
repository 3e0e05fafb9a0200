//! One call of each operation of ECR, in this program's own types.
//!
//! With `config` and `classify` the only place that names the SDK's types.

use std::sync::{Arc, OnceLock};

use aws_sdk_ecr::Client;
use aws_sdk_ecr::config::http::HttpResponse;
use aws_sdk_ecr::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_ecr::operation::RequestId;
use aws_sdk_ecr::types::{DescribeImagesFilter, ImageIdentifier, ImageStatusFilter, ListImagesFilter};

use super::classify::{classify, unexpected};
use super::endpoint::Endpoint;
use super::operation::PerOperation;
use super::retry::retry;
use super::{Attempted, CallContext, Counts, Kind, Operation, Pace, Rate, RegistryError, Turn};
use crate::model::{AccountId, Digest, Region, RegistryKey, RepositoryName, Tag};

mod answer;

pub use answer::{
    Failure, FailureCode, FetchedImage, FetchedImages, ImageDetail, ImageId, ListedImage, Page,
    RepositoryDetail,
};

/// The most ids or names that one call takes, by ECR's API model.
pub const IDS_PER_CALL: usize = 100;

/// The most entries of a page, by ECR's API model.
const PAGE_SIZE: i32 = 1_000;

/// Every format that a manifest in ECR can have.
///
/// ECR converts a manifest that is read by tag if its own format is not among these, and a converted manifest has
/// another digest (user guide, "Container image manifest format support").
pub const MEDIA_TYPES: [&str; 6] = [
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.v1+prettyjws",
    "application/vnd.docker.distribution.manifest.v1+json",
];

/// An account's registry in one region; cheap to clone.
///
/// Each method is one attempt of one call, spends the [`Turn`] it is given, and compares the account that the answer
/// carries with the one that was pinned or seen first.
#[derive(Debug, Clone)]
pub struct Registry(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    key: RegistryKey,
    region: Region,
    client: Client,
    endpoint: Endpoint,
    pinned: Option<AccountId>,
    account: OnceLock<AccountId>,
    paces: PerOperation<Pace>,
}

/// The write of one tag.
#[derive(Debug, Clone, Copy)]
pub struct PutImage<'a> {
    /// The repository.
    pub repository: &'a RepositoryName,
    /// The tag to write.
    pub tag: &'a Tag,
    /// The digest of the manifest; ECR refuses the call if it computes another.
    pub digest: Digest,
    /// The manifest, byte for byte as ECR gave it.
    pub manifest: &'a str,
    /// Its media type, as ECR gave it; needed where the manifest itself does not say it.
    pub media_type: Option<&'a str>,
}

/// What a successful `PutImage` answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Put {
    /// The id under which AWS knows the request.
    pub request_id: Option<String>,
}

/// What `BatchDeleteImage` did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deleted {
    /// What was removed.
    pub ids: Vec<ImageId>,
    /// What was not.
    pub failures: Vec<Failure>,
    /// The id under which AWS knows the request.
    pub request_id: Option<String>,
}

impl Registry {
    /// A registry reached through this client, which remembers where its calls go.
    ///
    /// `account` is sent with every call and must be in every answer; `put_rate` and `puts_per_second_max` pace
    /// `PutImage`, while other operations go unlimited until one is throttled.
    pub(super) fn new(
        key: RegistryKey,
        region: Region,
        account: Option<AccountId>,
        (client, endpoint): (Client, Endpoint),
        put_rate: Rate,
        puts_per_second_max: Option<f64>,
    ) -> Self {
        let pace = |operation| match operation {
            Operation::PutImage => Pace::new(operation, put_rate, puts_per_second_max),
            _ => Pace::new(operation, Rate::Unlimited, None),
        };
        Self(Arc::new(Shared {
            key,
            region,
            client,
            endpoint,
            pinned: account,
            account: OnceLock::new(),
            paces: PerOperation::new(pace),
        }))
    }

    /// The registry's name in the plan file.
    pub fn key(&self) -> &RegistryKey {
        &self.0.key
    }

    /// The region that is called.
    pub fn region(&self) -> &Region {
        &self.0.region
    }

    /// The account whose registry it is, once an answer has said so.
    pub fn account(&self) -> Option<&AccountId> {
        self.0.account.get()
    }

    /// The pace of an operation.
    pub fn pace(&self, operation: Operation) -> &Pace {
        self.0.paces.get(operation)
    }

    /// The calls made of an operation so far.
    pub fn counts(&self, operation: Operation) -> Counts {
        self.pace(operation).counts()
    }

    /// Makes attempts, each at its turn of this operation's pace, until one succeeds or further ones are of no use.
    ///
    /// Throttles are tried again without a limit of tries, until the run ends or no call got through for five
    /// minutes; failures in passing a few times ([`Kind::tries_max`]); all else is final. Waits grow exponentially
    /// with full jitter; `Retry-After` is honoured. Once the run is cancelled or over, no attempt begins; one under
    /// way is awaited.
    ///
    /// `attempt` may do other things before it spends its turn, such as looking at the tag again; a turn that it
    /// drops goes to the next caller.
    pub async fn call<T, F>(
        &self,
        operation: Operation,
        context: &CallContext,
        attempt: impl FnMut(Turn) -> F,
    ) -> Result<Attempted<T>, RegistryError>
    where
        F: Future<Output = Result<T, RegistryError>>,
    {
        let called = retry(self.key(), self.pace(operation), context, attempt).await;
        called.map_err(|error| self.doubt_pin(operation, error))
    }

    /// Whoever may not call a pinned account has perhaps pinned the wrong one.
    fn doubt_pin(&self, operation: Operation, error: RegistryError) -> RegistryError {
        match &self.0.pinned {
            Some(account) if error.kind() == Kind::Denied => {
                let action = operation.iam_action();
                error.with_help(format!(
                    "`account` in the plan file says {account}: correct it or the credentials; if both are right, these \
                     need `{action}` there"
                ))
            }
            _ => error,
        }
    }

    /// Describes these repositories, at most 100.
    ///
    /// Fails with [`Kind::RepositoryNotFound`] if any of them does not exist.
    pub async fn describe_repositories(
        &self,
        turn: Turn,
        names: &[RepositoryName],
    ) -> Result<Vec<RepositoryDetail>, RegistryError> {
        let names = names.iter().map(ToString::to_string).collect();
        let page = self.repositories(turn, Some(names), None).await?;
        Ok(page.items)
    }

    /// Describes a page of all repositories.
    pub async fn list_repositories(
        &self,
        turn: Turn,
        next: Option<&str>,
    ) -> Result<Page<RepositoryDetail>, RegistryError> {
        self.repositories(turn, None, next).await
    }

    async fn repositories(
        &self,
        turn: Turn,
        names: Option<Vec<String>>,
        next: Option<&str>,
    ) -> Result<Page<RepositoryDetail>, RegistryError> {
        let is_paged = names.is_none();
        let request = self
            .0
            .client
            .describe_repositories()
            .set_registry_id(self.registry_id())
            .set_repository_names(names)
            .set_next_token(next.map(ToOwned::to_owned))
            .set_max_results(is_paged.then_some(PAGE_SIZE));
        let at = |error: RegistryError| error.during(Operation::DescribeRepositories, None);
        let answer = self.settle(turn, request.send().await, at)?;
        let found = answer.repositories.unwrap_or_default();
        self.check_account(found.iter().map(|found| found.registry_id.as_deref()))
            .map_err(at)?;
        let items = found
            .into_iter()
            .map(RepositoryDetail::try_from)
            .collect::<Result<_, _>>();
        Ok(Page {
            items: items.map_err(at)?,
            next: answer.next_token,
        })
    }

    /// Lists a page of tags with their digests, archived images included; an untagged image has no tag.
    pub async fn list_images(
        &self,
        turn: Turn,
        repository: &RepositoryName,
        next: Option<&str>,
    ) -> Result<Page<ListedImage>, RegistryError> {
        let filter = ListImagesFilter::builder()
            .image_status(ImageStatusFilter::Any)
            .build();
        let request = self
            .0
            .client
            .list_images()
            .set_registry_id(self.registry_id())
            .repository_name(repository.as_str())
            .filter(filter)
            .max_results(PAGE_SIZE)
            .set_next_token(next.map(ToOwned::to_owned));
        let at = |error: RegistryError| error.during(Operation::ListImages, Some(repository));
        let answer = self.settle(turn, request.send().await, at)?;
        let found = answer.image_ids.unwrap_or_default();
        let items = found
            .into_iter()
            .map(ListedImage::try_from)
            .collect::<Result<_, _>>();
        Ok(Page {
            items: items.map_err(at)?,
            next: answer.next_token,
        })
    }

    /// Describes a page of images, archived ones included.
    pub async fn describe_images(
        &self,
        turn: Turn,
        repository: &RepositoryName,
        next: Option<&str>,
    ) -> Result<Page<ImageDetail>, RegistryError> {
        self.images(turn, repository, None, next).await
    }

    /// Describes these images, at most 100, archived ones included.
    ///
    /// Fails with [`Kind::ImageNotFound`] if any of them does not exist.
    pub async fn describe_images_by_digest(
        &self,
        turn: Turn,
        repository: &RepositoryName,
        digests: &[Digest],
    ) -> Result<Vec<ImageDetail>, RegistryError> {
        let ids = digests
            .iter()
            .copied()
            .map(ImageId::digest)
            .map(ImageIdentifier::from);
        let page = self.images(turn, repository, Some(ids.collect()), None).await?;
        Ok(page.items)
    }

    async fn images(
        &self,
        turn: Turn,
        repository: &RepositoryName,
        ids: Option<Vec<ImageIdentifier>>,
        next: Option<&str>,
    ) -> Result<Page<ImageDetail>, RegistryError> {
        let filter = DescribeImagesFilter::builder()
            .image_status(ImageStatusFilter::Any)
            .build();
        let is_paged = ids.is_none();
        let request = self
            .0
            .client
            .describe_images()
            .set_registry_id(self.registry_id())
            .repository_name(repository.as_str())
            .filter(filter)
            .set_image_ids(ids)
            .set_max_results(is_paged.then_some(PAGE_SIZE))
            .set_next_token(next.map(ToOwned::to_owned));
        let at = |error: RegistryError| error.during(Operation::DescribeImages, Some(repository));
        let answer = self.settle(turn, request.send().await, at)?;
        let found = answer.image_details.unwrap_or_default();
        self.check_account(found.iter().map(|found| found.registry_id.as_deref()))
            .map_err(at)?;
        let items = found
            .into_iter()
            .map(ImageDetail::try_from)
            .collect::<Result<_, _>>();
        Ok(Page {
            items: items.map_err(at)?,
            next: answer.next_token,
        })
    }

    /// Reads the manifests of these images, at most 100.
    ///
    /// An image that cannot be had is a [`Failure`], not an error. AWS counts this as a pull.
    pub async fn batch_get_image(
        &self,
        turn: Turn,
        repository: &RepositoryName,
        ids: &[ImageId],
    ) -> Result<FetchedImages, RegistryError> {
        let request = self
            .0
            .client
            .batch_get_image()
            .set_registry_id(self.registry_id())
            .repository_name(repository.as_str())
            .set_image_ids(Some(ids.iter().map(ImageIdentifier::from).collect()))
            .set_accepted_media_types(Some(MEDIA_TYPES.map(ToOwned::to_owned).to_vec()));
        let at = |error: RegistryError| error.during(Operation::BatchGetImage, Some(repository));
        let answer = self.settle(turn, request.send().await, at)?;
        let found = answer.images.unwrap_or_default();
        self.check_account(found.iter().map(|found| found.registry_id.as_deref()))
            .map_err(at)?;
        let images = found
            .into_iter()
            .map(FetchedImage::try_from)
            .collect::<Result<_, _>>();
        Ok(FetchedImages {
            images: images.map_err(at)?,
            failures: answer.failures.into_iter().flatten().map(Failure::from).collect(),
        })
    }

    /// Writes a tag.
    ///
    /// Fails with [`Kind::AlreadyExists`] if the tag is on this image already, and with [`Kind::TagImmutable`] if the
    /// tag exists and cannot move, which ECR also says where it is on this very image.
    pub async fn put_image(&self, turn: Turn, put: PutImage<'_>) -> Result<Put, RegistryError> {
        let request = self
            .0
            .client
            .put_image()
            .set_registry_id(self.registry_id())
            .repository_name(put.repository.as_str())
            .image_tag(put.tag.as_str())
            .image_digest(put.digest.to_string())
            .image_manifest(put.manifest)
            .set_image_manifest_media_type(put.media_type.map(ToOwned::to_owned));
        let at = |error: RegistryError| {
            error
                .during(Operation::PutImage, Some(put.repository))
                .on_tag(Some(put.tag))
        };
        let answer = self.settle(turn, request.send().await, at)?;
        let request_id = answer.request_id().map(ToOwned::to_owned);
        let registry_id = answer
            .image
            .as_ref()
            .and_then(|image| image.registry_id.as_deref());
        self.check_account([registry_id]).map_err(at)?;
        Ok(Put { request_id })
    }

    /// Removes these tags, at most 100; ECR deletes an image with its last tag.
    pub async fn batch_delete_image(
        &self,
        turn: Turn,
        repository: &RepositoryName,
        tags: &[Tag],
    ) -> Result<Deleted, RegistryError> {
        let ids = tags.iter().cloned().map(ImageId::tag).map(ImageIdentifier::from);
        let request = self
            .0
            .client
            .batch_delete_image()
            .set_registry_id(self.registry_id())
            .repository_name(repository.as_str())
            .set_image_ids(Some(ids.collect()));
        let only_tag = if let [tag] = tags { Some(tag) } else { None };
        let at = |error: RegistryError| {
            error
                .during(Operation::BatchDeleteImage, Some(repository))
                .on_tag(only_tag)
        };
        let answer = self.settle(turn, request.send().await, at)?;
        let request_id = answer.request_id().map(ToOwned::to_owned);
        Ok(Deleted {
            ids: answer
                .image_ids
                .into_iter()
                .flatten()
                .map(ImageId::from)
                .collect(),
            failures: answer.failures.into_iter().flatten().map(Failure::from).collect(),
            request_id,
        })
    }

    /// Tells the pace how a call ended, and says what went wrong in this program's terms.
    fn settle<T, E>(
        &self,
        turn: Turn,
        answer: Result<T, SdkError<E, HttpResponse>>,
        at: impl FnOnce(RegistryError) -> RegistryError,
    ) -> Result<T, RegistryError>
    where
        E: ProvideErrorMetadata + RequestId + std::error::Error + 'static,
    {
        let answer = answer.map_err(|error| at(classify(&error, self.0.endpoint.url())));
        turn.settle(&answer);
        answer
    }

    fn registry_id(&self) -> Option<String> {
        self.0.pinned.as_ref().map(ToString::to_string)
    }

    /// Compares the accounts that an answer carries with the one that is expected, and learns it from the first.
    fn check_account<'a>(
        &self,
        answered: impl IntoIterator<Item = Option<&'a str>>,
    ) -> Result<(), RegistryError> {
        for answered in answered.into_iter().flatten() {
            let expected = self.0.pinned.as_ref().or_else(|| self.account());
            if let Some(expected) = expected
                && expected.as_str() != answered
            {
                return Err(RegistryError::new(
                    Kind::WrongAccount,
                    format!("the answer is from the account `{answered}`, not from `{expected}`"),
                ));
            }
            if self.account().is_none() {
                let account = answered.parse().map_err(|error| unexpected(&error))?;
                // Lost only to another answer that just said the same or is caught by the next comparison.
                let _ = self.0.account.set(account);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
