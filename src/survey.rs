//! Reads the registries that a plan speaks of, and plans each repository as soon as it has arrived.
//!
//! Inventories are dropped when they are planned, so that memory grows with what will be done and with the largest
//! repository, not with the registry.

mod revisit;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::StreamExt as _;
use jiff::Timestamp;

use crate::changeset::{
    Changeset, Draft, Input, RegistryIdentity, Scope, images_losing_tags, plan_repository,
};
use crate::diagnostic::{self, Code, Diagnostic};
use crate::event::{Event, Events};
use crate::inventory::Inventory;
use crate::model::{AccountId, Address, Digest, Region, RegistryKey, RepositoryName};
use crate::plan::{Plan, Reads, RepositoryReads};
use crate::registry::{CallContext, Observation, Questions, Reader, Registry, RegistryError, observe};

pub use revisit::revisit;

/// What a survey is made with, apart from the plan.
#[derive(Debug, Clone, Copy)]
pub struct Survey<'a> {
    /// The registries of the plan, connected.
    pub registries: &'a BTreeMap<RegistryKey, Registry>,
    /// The addresses the run is about; repositories that have none of them are not read.
    pub scope: &'a Scope,
    /// When to stop.
    pub context: &'a CallContext,
    /// Whom to tell of repositories that were read, and of retries.
    pub events: &'a Events,
    /// The moment that spans such as `30d` count from, and that the changeset carries.
    pub now: Timestamp,
    /// Whether targets that are right already are listed, not only counted.
    pub keeps_unchanged: bool,
}

/// What came of a survey.
#[derive(Debug, Clone)]
pub struct Surveyed {
    /// What will be done, as far as the registries could be read.
    pub changeset: Changeset,
    /// What could not be read, sorted.
    pub failures: Vec<(RegistryKey, RegistryError)>,
}

/// Reads all registries at once and plans.
pub async fn survey(plan: &Plan, survey: Survey<'_>) -> Surveyed {
    let mut draft = Draft::new(survey.keeps_unchanged, survey.scope);
    let failures = visit(plan, survey, None, |key, inventory| {
        let planned = plan_repository(&input(plan, key, &inventory, survey));
        draft.add(plan, key, &inventory.repository, planned);
    })
    .await;
    let failed = failures.iter().map(|(key, _)| key);
    let unreached = plan.registries.iter().map(|declared| &declared.key);
    for key in failed.chain(unreached.filter(|key| !survey.registries.contains_key(*key))) {
        draft.miss(key);
    }
    let mut changeset = draft.finish(plan, identities(plan, survey.registries), Some(survey.now));
    changeset
        .diagnostics
        .extend(refuse_one_registry_twice(survey.registries));
    diagnostic::sort(&mut changeset.diagnostics);
    Surveyed { changeset, failures }
}

/// Reads all registries at once and hands on each repository as it arrives; gives what could not be read, sorted.
///
/// With `only`, reads the repository of that address, its tag included, and no other. A repository that a rule names
/// and that does not exist does not arrive.
pub async fn visit(
    plan: &Plan,
    survey: Survey<'_>,
    only: Option<&Address>,
    mut arrived: impl FnMut(&RegistryKey, Inventory),
) -> Vec<(RegistryKey, RegistryError)> {
    let context = survey
        .context
        .clone()
        .with_observer(Arc::new(survey.events.clone()));
    let survey = Survey {
        context: &context,
        ..survey
    };
    let desks: Vec<Desk<'_>> = survey
        .registries
        .iter()
        .map(|(key, registry)| Desk::new(plan, key, registry, survey, only))
        .collect();
    let streams = desks.iter().map(|desk| {
        let questions = Questions {
            reads: &*desk.reads,
            losing: &*desk.losing,
        };
        observe(&desk.reader, &desk.wanted, questions)
            .map(move |observed| (desk.key, observed))
            .boxed()
    });
    let mut observations = futures::stream::select_all(streams);
    let mut failures = Vec::new();
    while let Some((key, observed)) = observations.next().await {
        match observed {
            Observation::Inventory(inventory) => {
                let repository = inventory.repository.clone();
                arrived(key, inventory);
                survey.events.emit(Event::RepositoryRead {
                    registry: key.clone(),
                    repository,
                });
            }
            Observation::Missing(_) => {}
            Observation::Failed(error) => failures.push((key.clone(), error)),
        }
    }
    failures.sort_by_cached_key(|(key, error)| (key.clone(), error.to_string()));
    failures
}

type Question<'a, About, Answer> = Box<dyn Fn(&About) -> Answer + Send + Sync + 'a>;

/// Everything that reading one registry needs.
struct Desk<'a> {
    key: &'a RegistryKey,
    reader: Reader<'a>,
    wanted: RepositoryReads,
    reads: Question<'a, RepositoryName, Option<Reads>>,
    losing: Question<'a, Inventory, BTreeSet<Digest>>,
}

impl<'a> Desk<'a> {
    fn new(
        plan: &'a Plan,
        key: &'a RegistryKey,
        registry: &'a Registry,
        survey: Survey<'a>,
        only: Option<&'a Address>,
    ) -> Self {
        let wanted = only.map_or_else(
            || {
                let mut wanted = plan.repositories(key);
                wanted
                    .exact
                    .retain(|repository| survey.scope.may_contain(key, repository));
                wanted
            },
            |only| RepositoryReads {
                exact: BTreeSet::from([only.repository.clone()]),
                has_globs: false,
            },
        );
        Self {
            key,
            reader: Reader::new(registry, survey.context),
            wanted,
            reads: Box::new(move |repository| {
                if !survey.scope.may_contain(key, repository) {
                    return None;
                }
                let mut reads = plan.reads(key, repository)?;
                if let (Reads::Named { tags, .. }, Some(only)) = (&mut reads, only) {
                    tags.insert(only.tag.clone());
                }
                Some(reads)
            }),
            losing: Box::new(move |inventory| images_losing_tags(&input(plan, key, inventory, survey))),
        }
    }
}

fn input<'a>(
    plan: &'a Plan,
    registry: &'a RegistryKey,
    inventory: &'a Inventory,
    survey: Survey<'a>,
) -> Input<'a> {
    Input {
        plan,
        registry,
        inventory,
        now: survey.now,
        scope: survey.scope,
    }
}

/// Two names for one account and region would have two paces for one quota, and two addresses for one tag.
fn refuse_one_registry_twice(registries: &BTreeMap<RegistryKey, Registry>) -> Vec<Diagnostic> {
    let mut seen: BTreeMap<(&AccountId, &Region), &RegistryKey> = BTreeMap::new();
    let mut refused = Vec::new();
    for (key, registry) in registries {
        let Some(account) = registry.account() else {
            continue;
        };
        if let Some(first) = seen.insert((account, registry.region()), key) {
            let message = format!(
                "the registries `{first}` and `{key}` are both {account}/{}",
                registry.region()
            );
            refused.push(
                Diagnostic::error(Code::RegistryTwice, message)
                    .help("declare the registry once, and name it in the rules of both"),
            );
        }
    }
    refused
}

/// The registries of the plan, with the accounts and regions that answered; one that holds none of the plan's
/// repositories says no account.
fn identities(plan: &Plan, registries: &BTreeMap<RegistryKey, Registry>) -> Vec<RegistryIdentity> {
    let identity = |declared: &crate::plan::Registry| {
        let registry = registries.get(&declared.key);
        let access = declared.access.clone();
        RegistryIdentity {
            key: declared.key.clone(),
            account: registry
                .and_then(Registry::account)
                .or(access.account.as_ref())
                .cloned(),
            region: registry.map(Registry::region).or(access.region.as_ref()).cloned(),
            access,
        }
    };
    plan.registries.iter().map(identity).collect()
}
