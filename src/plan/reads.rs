//! What must be read of a registry before a plan can be made, and no more.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::{Plan, Reads, Rule};
use crate::model::{RegistryKey, RepositoryName};

/// Which repositories of a registry must be described.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RepositoryReads {
    /// Repositories that are named, by any rule.
    pub exact: BTreeSet<RepositoryName>,
    /// Whether a pattern is there, so that all repositories must be listed.
    pub has_globs: bool,
}

impl Plan {
    /// Which repositories of this registry must be described.
    pub fn repositories(&self, registry: &RegistryKey) -> RepositoryReads {
        let mut reads = RepositoryReads::default();
        for rule in self.rules.iter().filter(|rule| rule.applies_in(registry)) {
            reads
                .exact
                .extend(rule.repositories.exact().map(|(name, _)| name.clone()));
            reads.has_globs |= rule.repositories.has_globs();
        }
        reads
    }

    /// Whether any rule applies to this repository.
    pub fn matches(&self, registry: &RegistryKey, repository: &RepositoryName) -> bool {
        self.rules
            .iter()
            .any(|rule| rule.applies_to(registry, repository))
    }

    /// What the rules need to know of this repository; `None` if no rule applies to it.
    pub fn reads(
        &self,
        registry: &RegistryKey,
        repository: &RepositoryName,
        _now: Timestamp,
    ) -> Option<Reads> {
        self.matches(registry, repository).then_some(Reads::Whole {
            with_push_times: true,
        })
    }
}

impl Rule {
    /// Whether the rule applies to this repository of this registry.
    pub fn applies_to(&self, registry: &RegistryKey, repository: &RepositoryName) -> bool {
        self.applies_in(registry) && self.repositories.matches(repository)
    }

    /// Whether the rule applies to any repository of this registry.
    pub fn applies_in(&self, registry: &RegistryKey) -> bool {
        self.registries.contains(registry)
    }
}
