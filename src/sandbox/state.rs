//! ECR's rules, pure: a state, an operation and a time give an answer and the next state.
//!
//! Where the API model and the AWS docs are silent, the stricter reading is taken: what works here works on ECR.

mod error;
mod images;
mod manifest;
mod page;
mod push;
mod repositories;
mod repository;
mod request;
mod snapshot;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use error::ErrorAnswer;
pub use manifest::MediaType;
pub use repository::{Image, Repository};
pub use snapshot::{Snapshot, SnapshotError};

use crate::model::{AccountId, Digest, Mutability, Region, RepositoryName, Tag};
use request::Request;

/// What an operation answers: the members of the response, or an error.
pub type Answer = Result<Value, ErrorAnswer>;

/// Who calls, and in which region.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Caller {
    /// The account of the credentials.
    pub account: AccountId,
    /// The region of the credential scope.
    pub region: Region,
}

/// Service quotas that count things; rates are the business of [`Quotas`](super::Quotas).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Images in one repository (AWS docs: 100,000).
    pub images_per_repository: usize,
    /// Tags on one image (AWS docs: 1,000, not adjustable).
    pub tags_per_image: usize,
    /// Repositories in one account and region (AWS docs: 100,000).
    pub repositories: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            images_per_repository: 100_000,
            tags_per_image: 1_000,
            repositories: 100_000,
        }
    }
}

type Repositories = BTreeMap<RepositoryName, Repository>;

/// All registries of the sandbox: one for each account and region.
#[derive(Debug, Clone, Default)]
pub struct State {
    /// Service quotas that count things.
    pub limits: Limits,
    registries: BTreeMap<(AccountId, Region), Repositories>,
    grants: BTreeSet<(AccountId, AccountId)>,
    roles: BTreeMap<String, RoleRule>,
    revision: u64,
}

/// Who may assume a role; one without a rule may be assumed by everybody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoleRule {
    /// Nobody may.
    #[serde(default)]
    pub is_denied: bool,
    /// Only those who know this id.
    #[serde(default)]
    pub external_id: Option<String>,
}

impl RoleRule {
    /// Nobody may assume the role.
    pub fn denied() -> Self {
        Self {
            is_denied: true,
            external_id: None,
        }
    }
}

/// An image could not be seeded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the manifest is no image manifest and no index of the type {0}")]
pub struct InvalidManifest(pub MediaType);

/// One call, resolved: whose registry it is about, and when.
struct Call<'a> {
    operation: &'a str,
    request: Request<'a>,
    registry: (AccountId, Region),
    now: Timestamp,
}

impl State {
    /// A state without any repository.
    pub fn new() -> Self {
        Self::default()
    }

    /// Carries out one operation of ECR, such as `PutImage`, and returns what ECR answers.
    ///
    /// Members of the request that no rule here reads are ignored.
    pub fn handle(&mut self, operation: &str, request: &Value, caller: &Caller, now: Timestamp) -> Answer {
        let request = Request::new(request)?;
        let account = request.registry_id()?.unwrap_or_else(|| caller.account.clone());
        let call = Call {
            operation,
            request,
            registry: (account, caller.region.clone()),
            now,
        };
        if !is_operation(operation) {
            return Err(ErrorAnswer::client(
                "UnknownOperationException",
                format!("the operation `{operation}` is not known to this registry"),
            ));
        }
        self.check_access(&call, caller)?;
        match operation {
            "BatchDeleteImage" => self.batch_delete_image(&call),
            "BatchGetImage" => self.batch_get_image(&call),
            "CreateRepository" => self.create_repository(&call),
            "DeleteRepository" => self.delete_repository(&call),
            "DescribeImages" => self.describe_images(&call),
            "DescribeRepositories" => self.describe_repositories(&call),
            "ListImages" => self.list_images(&call),
            "PutImage" => self.put_image(&call),
            "PutImageTagMutability" => self.put_image_tag_mutability(&call),
            _ => self.update_image_storage_class(&call),
        }
    }

    /// Lets credentials of `caller` reach the registries of `owner` by `registryId`, as a repository policy does.
    pub fn grant(&mut self, owner: AccountId, caller: AccountId) {
        self.grants.insert((owner, caller));
        self.changed();
    }

    /// Says who may assume a role, by its ARN.
    pub fn set_role(&mut self, arn: &str, rule: RoleRule) {
        self.roles.insert(arn.to_owned(), rule);
        self.changed();
    }

    pub(super) fn role(&self, arn: &str) -> Option<&RoleRule> {
        self.roles.get(arn)
    }

    /// Goes up with every change that a client can see, apart from pull times.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The accounts and regions that hold a repository or held one.
    pub fn registries(&self) -> impl Iterator<Item = (&AccountId, &Region)> {
        self.registries.keys().map(|(account, region)| (account, region))
    }

    /// The repositories of an account and region, sorted by name.
    pub fn repositories<'a>(
        &'a self,
        caller: &Caller,
    ) -> impl Iterator<Item = (&'a RepositoryName, &'a Repository)> + use<'a> {
        let key = (caller.account.clone(), caller.region.clone());
        self.registries.get(&key).into_iter().flatten()
    }

    /// One repository of an account and region.
    pub fn find_repository(&self, caller: &Caller, name: &RepositoryName) -> Option<&Repository> {
        let key = (caller.account.clone(), caller.region.clone());
        self.registries.get(&key)?.get(name)
    }

    /// Where each tag of a repository is; empty if there is no such repository.
    pub fn tags(&self, caller: &Caller, name: &RepositoryName) -> BTreeMap<Tag, Digest> {
        let repository = self.find_repository(caller, name);
        repository
            .into_iter()
            .flat_map(Repository::tags)
            .map(|(tag, image)| (tag.clone(), image.digest))
            .collect()
    }

    /// Creates a repository for a seed; one that is there keeps its images and takes on the mutability.
    pub fn seed_repository(
        &mut self,
        owner: &Caller,
        name: &RepositoryName,
        mutability: Mutability,
        created_at: Timestamp,
    ) {
        let key = (owner.account.clone(), owner.region.clone());
        let repositories = self.registries.entry(key).or_default();
        match repositories.get_mut(name) {
            Some(repository) => repository.mutability = mutability,
            None => {
                repositories.insert(name.clone(), Repository::new(created_at, mutability));
            }
        }
        self.changed();
    }

    /// Puts an image into a repository for a seed: its blobs count as pushed, and no limit or mutability applies.
    ///
    /// The tags are moved to it. An image that is there already only gets the tags. A repository that is not there
    /// is created. Returns the digest.
    pub fn seed_image(
        &mut self,
        owner: &Caller,
        name: &RepositoryName,
        manifest: &str,
        media_type: MediaType,
        pushed_at: Timestamp,
        tags: &[Tag],
    ) -> Result<Digest, InvalidManifest> {
        let facts = manifest::read(manifest).filter(|facts| facts.is_index == media_type.is_index());
        let facts = facts.ok_or(InvalidManifest(media_type))?;
        let key = (owner.account.clone(), owner.region.clone());
        let repository = self
            .registries
            .entry(key)
            .or_default()
            .entry(name.clone())
            .or_insert_with(|| Repository::new(pushed_at, Mutability::default()));
        let digest = Digest::of(manifest.as_bytes());
        if repository.image(&digest).is_none() {
            let mut image = Image::new(Arc::from(manifest), media_type, facts, pushed_at);
            let children = image
                .children()
                .iter()
                .filter_map(|child| repository.image(child));
            image.size_bytes = children
                .map(|child| child.size_bytes)
                .max()
                .unwrap_or(image.size_bytes);
            repository.insert(image);
        }
        for tag in tags {
            repository.set_tag(tag, &digest);
        }
        self.changed();
        Ok(digest)
    }

    /// Makes the blobs that a manifest needs known to a repository, as pushing its layers does.
    ///
    /// Returns whether there is such a repository and the text is a manifest.
    pub fn upload_blobs(&mut self, owner: &Caller, name: &RepositoryName, manifest: &str) -> bool {
        let key = (owner.account.clone(), owner.region.clone());
        let repository = self
            .registries
            .get_mut(&key)
            .and_then(|repositories| repositories.get_mut(name));
        let (Some(repository), Some(facts)) = (repository, manifest::read(manifest)) else {
            return false;
        };
        repository.upload(facts.blobs);
        self.changed();
        true
    }

    fn changed(&mut self) {
        self.revision += 1;
    }

    /// The texts of a missing grant follow IAM's; that it is looked at before the repository is a guess.
    fn check_access(&self, call: &Call<'_>, caller: &Caller) -> Result<(), ErrorAnswer> {
        let owner = call.account();
        let is_allowed =
            *owner == caller.account || self.grants.contains(&(owner.clone(), caller.account.clone()));
        if is_allowed {
            return Ok(());
        }
        let resource = match call.request.text("repositoryName")?.map(str::parse) {
            Some(Ok(name)) => call.repository_arn(&name),
            _ => "*".to_owned(),
        };
        Err(ErrorAnswer::access_denied(format!(
            "User: arn:{}:iam::{}:user/sandbox is not authorized to perform: ecr:{} on resource: {resource} because no \
             resource-based policy allows the ecr:{} action",
            partition(caller.region.as_str()),
            caller.account,
            call.operation,
            call.operation
        )))
    }

    fn repository(&self, call: &Call<'_>, name: &RepositoryName) -> Result<&Repository, ErrorAnswer> {
        self.registries
            .get(&call.registry)
            .and_then(|repositories| repositories.get(name))
            .ok_or_else(|| ErrorAnswer::repository_not_found(name, call.account()))
    }

    fn repository_mut(
        &mut self,
        call: &Call<'_>,
        name: &RepositoryName,
    ) -> Result<&mut Repository, ErrorAnswer> {
        self.registries
            .get_mut(&call.registry)
            .and_then(|repositories| repositories.get_mut(name))
            .ok_or_else(|| ErrorAnswer::repository_not_found(name, call.account()))
    }
}

impl Call<'_> {
    fn account(&self) -> &AccountId {
        &self.registry.0
    }

    fn repository_arn(&self, name: &RepositoryName) -> String {
        let (account, region) = &self.registry;
        repository_arn(account, region, name)
    }

    fn registry_scope(&self) -> String {
        let (account, region) = &self.registry;
        format!("{} {account} {region}", self.operation)
    }

    fn list_scope(&self, name: &RepositoryName, filter: &str) -> String {
        format!("{} {name} {filter}", self.registry_scope())
    }
}

fn is_operation(operation: &str) -> bool {
    matches!(
        operation,
        "BatchDeleteImage"
            | "BatchGetImage"
            | "CreateRepository"
            | "DeleteRepository"
            | "DescribeImages"
            | "DescribeRepositories"
            | "ListImages"
            | "PutImage"
            | "PutImageTagMutability"
            | "UpdateImageStorageClass"
    )
}

pub(super) fn repository_arn(account: &AccountId, region: &Region, name: &RepositoryName) -> String {
    format!(
        "arn:{}:ecr:{region}:{account}:repository/{name}",
        partition(region.as_str())
    )
}

pub(super) fn partition(region: &str) -> &'static str {
    match region {
        region if region.starts_with("cn-") => "aws-cn",
        region if region.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    }
}
