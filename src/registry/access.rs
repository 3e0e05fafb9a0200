//! Which of the IAM actions that a plan needs are allowed, as far as calls that only read can tell.
//!
//! ECR has no dry run: whether an action is allowed shows when it is called. Reads are called, on every repository of
//! the plan, and change nothing; writes are not.

use std::collections::{BTreeMap, BTreeSet};

use futures::stream::{self, StreamExt as _};

use super::{ImageId, Kind, Operation, Reader, RegistryError};
use crate::model::{AccountId, Digest, Region, RegistryKey, RepositoryName};
use crate::plan::{Reads, RepositoryReads};

/// What is allowed in one registry.
#[derive(Debug, Clone)]
pub struct Access {
    /// The registry's name in the plan file.
    pub registry: RegistryKey,
    /// The account that its answers carry, if any did.
    pub account: Option<AccountId>,
    /// Its region.
    pub region: Region,
    /// The actions that the plan needs there, in the order of [`Operation::ALL`].
    pub actions: Vec<ActionAccess>,
    /// Repositories that the plan names and that do not exist, so that nothing can be told of them.
    pub absent: BTreeSet<RepositoryName>,
    /// What failed for another reason than a lack of permission, each text once.
    pub failures: Vec<RegistryError>,
}

/// Whether one action is allowed.
#[derive(Debug, Clone)]
pub struct ActionAccess {
    /// What it allows to call.
    pub operation: Operation,
    /// Whether planning needs it, not only applying.
    pub is_for_plan: bool,
    /// Whether applying needs it.
    pub is_for_apply: bool,
    /// What the calls have shown.
    pub verdict: Verdict,
}

/// What calls have shown of an action.
#[derive(Debug, Clone)]
pub enum Verdict {
    /// Every call was let through.
    Allowed,
    /// These calls were not, sorted by repository.
    Denied(Vec<RegistryError>),
    /// It writes, and only a write would tell.
    Writes,
    /// There was nothing to try it on.
    Untried,
}

/// What a plan asks of a registry.
#[derive(Clone, Copy)]
pub struct AccessQuestion<'a> {
    /// The repositories that its rules speak of.
    pub repositories: &'a RepositoryReads,
    /// What must be read of a repository; nothing if no rule applies to it.
    pub reads: &'a (dyn Fn(&RepositoryName) -> Option<Reads> + Send + Sync),
    /// Whether it removes tags.
    pub removes: bool,
}

/// Tries what the plan needs; a few calls a repository, none of which writes.
pub async fn check_access(reader: &Reader<'_>, question: AccessQuestion<'_>) -> Access {
    let mut findings = Findings::default();
    let mut repositories = named_repositories(reader, question.repositories, &mut findings).await;
    if question.repositories.has_globs {
        repositories.extend(listed_repositories(reader, &mut findings).await);
    }
    let mut calls = Vec::new();
    for repository in &repositories {
        let Some(reads) = (question.reads)(repository) else {
            continue;
        };
        calls.extend([
            (Operation::DescribeImages, repository),
            (Operation::BatchGetImage, repository),
        ]);
        if reads
            == (Reads::Whole {
                with_push_times: false,
            })
        {
            calls.push((Operation::ListImages, repository));
        }
    }
    let tried = stream::iter(calls)
        .map(|(operation, repository)| async move {
            (
                operation,
                repository,
                attempt(reader, operation, repository).await,
            )
        })
        .buffer_unordered(Reader::CALLS_MAX)
        .collect::<Vec<_>>();
    for (operation, repository, done) in tried.await {
        findings.add(operation, Some(repository), done);
    }
    let registry = reader.registry;
    Access {
        registry: registry.key().clone(),
        account: registry.account().cloned(),
        region: registry.region().clone(),
        actions: findings.actions(question.removes),
        absent: findings.absent,
        failures: findings.failures.into_values().collect(),
    }
}

/// Asks for each repository by itself, since a call for several is denied as a whole.
async fn named_repositories(
    reader: &Reader<'_>,
    wanted: &RepositoryReads,
    findings: &mut Findings,
) -> BTreeSet<RepositoryName> {
    let tried = stream::iter(&wanted.exact)
        .map(|repository| async move {
            (
                repository,
                attempt(reader, Operation::DescribeRepositories, repository).await,
            )
        })
        .buffer_unordered(Reader::CALLS_MAX)
        .collect::<Vec<_>>();
    for (repository, done) in tried.await {
        findings.add(Operation::DescribeRepositories, Some(repository), done);
    }
    wanted.exact.difference(&findings.absent).cloned().collect()
}

async fn listed_repositories(reader: &Reader<'_>, findings: &mut Findings) -> Vec<RepositoryName> {
    let (mut names, mut next) = (Vec::new(), None::<String>);
    loop {
        let page = reader.call(Operation::DescribeRepositories, |turn| {
            reader.registry.list_repositories(turn, next.as_deref())
        });
        match page.await {
            Ok(page) => {
                names.extend(page.items.into_iter().map(|repository| repository.name));
                next = page.next;
            }
            Err(error) => {
                findings.add(Operation::DescribeRepositories, None, Err(error));
                return names;
            }
        }
        if next.is_none() {
            findings.add(Operation::DescribeRepositories, None, Ok(()));
            return names;
        }
    }
}

/// Makes a call that reads next to nothing.
async fn attempt(
    reader: &Reader<'_>,
    operation: Operation,
    repository: &RepositoryName,
) -> Result<(), RegistryError> {
    let registry = reader.registry;
    // An image that cannot be: it is the digest of nothing, and no manifest is empty.
    let nothing = Digest::of(b"");
    let done = match operation {
        Operation::DescribeRepositories => {
            let names = [repository.clone()];
            let described = reader.call(operation, |turn| registry.describe_repositories(turn, &names));
            described.await.map(drop)
        }
        Operation::ListImages => {
            let listed = reader.call(operation, |turn| registry.list_images(turn, repository, None));
            listed.await.map(drop)
        }
        Operation::DescribeImages => {
            let digests = [nothing];
            let described = reader.call(operation, |turn| {
                registry.describe_images_by_digest(turn, repository, &digests)
            });
            described.await.map(drop)
        }
        Operation::BatchGetImage => {
            let ids = [ImageId::digest(nothing)];
            let fetched = reader.call(operation, |turn| registry.batch_get_image(turn, repository, &ids));
            fetched.await.map(drop)
        }
        Operation::PutImage | Operation::BatchDeleteImage => return Ok(()),
    };
    match done {
        Err(error) if error.kind() == Kind::ImageNotFound => Ok(()),
        done => done,
    }
}

/// What the calls have come to so far.
#[derive(Debug, Default)]
struct Findings {
    allowed: BTreeSet<Operation>,
    denied: BTreeMap<Operation, BTreeMap<Option<RepositoryName>, RegistryError>>,
    absent: BTreeSet<RepositoryName>,
    failures: BTreeMap<String, RegistryError>,
}

impl Findings {
    fn add(
        &mut self,
        operation: Operation,
        repository: Option<&RepositoryName>,
        done: Result<(), RegistryError>,
    ) {
        let Err(error) = done else {
            self.allowed.insert(operation);
            return;
        };
        match (error.kind(), repository) {
            (Kind::Denied, _) => {
                let error = error.during(operation, repository);
                let denied = self.denied.entry(operation).or_default();
                denied.insert(repository.cloned(), error);
            }
            (Kind::RepositoryNotFound, Some(repository)) => {
                self.absent.insert(repository.clone());
            }
            _ => {
                self.failures.insert(error.to_string(), error);
            }
        }
    }

    fn actions(&mut self, removes: bool) -> Vec<ActionAccess> {
        let is_needed = |operation: &Operation| match operation {
            Operation::ListImages => self.allowed.contains(operation) || self.denied.contains_key(operation),
            Operation::BatchDeleteImage => removes,
            _ => true,
        };
        let needed: Vec<Operation> = Operation::ALL.into_iter().filter(is_needed).collect();
        let access = |operation: Operation| ActionAccess {
            operation,
            is_for_plan: !operation.is_write(),
            is_for_apply: operation != Operation::ListImages,
            verdict: match self.denied.remove(&operation) {
                Some(errors) => Verdict::Denied(errors.into_values().collect()),
                None if operation.is_write() => Verdict::Writes,
                None if self.allowed.contains(&operation) => Verdict::Allowed,
                None => Verdict::Untried,
            },
        };
        needed.into_iter().map(access).collect()
    }
}
