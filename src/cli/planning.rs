//! Gathers a changeset: reads the registries a plan speaks of and plans each repository as it arrives.

use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt as _;
use jiff::Timestamp;

use super::args::ScopeArgs;
use super::connect::Connections;
use super::{CliError, Environment, Session};
use crate::changeset::{
    Changeset, Draft, Input, RegistryIdentity, Scope, images_losing_tags, plan_repository,
};
use crate::diagnostic::{self, Diagnostic, Severity, Sources};
use crate::event::{Event, Events};
use crate::inventory::Inventory;
use crate::model::{Digest, RegistryKey, RepositoryName};
use crate::plan::{Loaded, Plan, Reads, RepositoryReads};
use crate::registry::{CallContext, Observation, Questions, Reader, Registry, RegistryError, observe};

/// A changeset, and what it was gathered from.
pub(super) struct Planned {
    pub(super) changeset: Changeset,
    /// Registries, or repositories of them, that could not be read.
    pub(super) failures: Vec<(RegistryKey, RegistryError)>,
}

impl Planned {
    /// Whether anything forbids to save or apply the changeset.
    pub(super) fn has_errors(&self) -> bool {
        !self.failures.is_empty() || self.has(Severity::Error)
    }

    /// Whether a policy or an expectation forbids to save or apply the changeset.
    pub(super) fn has_refusals(&self) -> bool {
        self.has(Severity::Refusal)
    }

    fn has(&self, severity: Severity) -> bool {
        self.changeset
            .diagnostics
            .iter()
            .any(|diagnostic| diagnostic.severity == severity)
    }
}

/// A plan without errors, and what there is to warn of.
pub(super) struct Checked {
    pub(super) plan: Plan,
    pub(super) sources: Sources,
    pub(super) warnings: Vec<Diagnostic>,
}

impl Session {
    /// Takes the plan out of what was loaded; if there is none, prints everything that is wrong with it.
    pub(super) fn checked(&self, loaded: Loaded) -> Option<Checked> {
        let Loaded {
            plan,
            sources,
            diagnostics,
        } = loaded;
        if plan.is_none() {
            self.print_diagnostics(&diagnostics, &sources);
        }
        Some(Checked {
            plan: plan?,
            sources,
            warnings: diagnostics,
        })
    }
}

/// The addresses that the command line restricts the run to.
pub(super) fn scope(args: &ScopeArgs, plan: &Plan) -> Result<Scope, CliError> {
    Ok(Scope::new(
        &args.targets,
        &args.excludes,
        plan.registries.len() > 1,
    )?)
}

/// What a plan is made with, apart from the plan itself.
pub(super) struct Gathering<'a> {
    pub(super) connections: &'a Connections,
    pub(super) scope: &'a Scope,
    pub(super) context: &'a CallContext,
    pub(super) events: &'a Events,
    pub(super) environment: &'a Environment,
    /// Whether targets that are right already are listed, not only counted.
    pub(super) keeps_unchanged: bool,
}

/// Reads the registries and plans.
pub(super) async fn gather(checked: &Checked, gathering: &Gathering<'_>) -> Result<Planned, CliError> {
    let Checked { plan, .. } = checked;
    let now = gathering.environment.now();
    let registries = &gathering.connections.registries;
    let desks: Vec<Desk<'_>> = registries
        .iter()
        .map(|(key, registry)| Desk::new(plan, key, registry, gathering, now))
        .collect();
    let streams = desks.iter().map(|desk| {
        let questions = Questions {
            reads: &*desk.reads,
            losing: &*desk.losing,
        };
        observe(&desk.reader, &desk.wanted, questions)
            .map(move |observed| (desk, observed))
            .boxed()
    });
    let mut observations = futures::stream::select_all(streams);
    let mut draft = Draft::new(gathering.keeps_unchanged);
    let mut failures = gathering.connections.failures.clone();
    while let Some((desk, observed)) = observations.next().await {
        match observed {
            Observation::Inventory(inventory) => {
                let input = desk.input(plan, &inventory, gathering.scope, now);
                draft.add(plan, desk.key, &inventory.repository, plan_repository(&input));
                let repository = inventory.repository;
                gathering.events.emit(Event::RepositoryRead {
                    registry: desk.key.clone(),
                    repository,
                });
            }
            // The draft notices which repositories have not arrived.
            Observation::Missing(_) => {}
            Observation::Failed(error) => failures.push((desk.key.clone(), error)),
        }
    }
    drop(observations);
    gathering.context.check()?;
    failures.sort_by_cached_key(|(key, error)| (key.clone(), error.to_string()));
    let mut changeset = draft.finish(plan, identities(plan, registries), Some(now));
    changeset.diagnostics.extend(checked.warnings.iter().cloned());
    diagnostic::sort(&mut changeset.diagnostics);
    Ok(Planned { changeset, failures })
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
        gathering: &Gathering<'a>,
        now: Timestamp,
    ) -> Self {
        let scope = gathering.scope;
        Self {
            key,
            reader: Reader::new(registry, gathering.context),
            wanted: plan.repositories(key),
            reads: Box::new(move |repository| plan.reads(key, repository)),
            losing: Box::new(move |inventory| {
                images_losing_tags(&Input {
                    plan,
                    registry: key,
                    inventory,
                    now,
                    scope,
                })
            }),
        }
    }

    fn input<'i>(
        &self,
        plan: &'i Plan,
        inventory: &'i Inventory,
        scope: &'i Scope,
        now: Timestamp,
    ) -> Input<'i>
    where
        'a: 'i,
    {
        Input {
            plan,
            registry: self.key,
            inventory,
            now,
            scope,
        }
    }
}

/// The accounts and regions that answered; one that holds none of the plan's repositories says no account.
fn identities(plan: &Plan, registries: &BTreeMap<RegistryKey, Registry>) -> Vec<RegistryIdentity> {
    plan.registries
        .iter()
        .filter_map(|declared| {
            let registry = registries.get(&declared.key)?;
            Some(RegistryIdentity {
                key: declared.key.clone(),
                account: registry.account().or(declared.account.as_ref())?.clone(),
                region: registry.region().clone(),
            })
        })
        .collect()
}
