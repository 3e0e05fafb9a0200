//! Gathers what is planned, repository by repository, into one changeset.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::guard;
use super::plan::RepositoryPlan;
use super::scope::Scope;
use super::{Change, Changeset, Counts, RegistryIdentity, Skipped, Unchanged};
use crate::diagnostic::{self, Code, Diagnostic};
use crate::model::{RegistryKey, RepositoryName};
use crate::plan::{OnMissing, Plan};

/// A changeset that grows as the repositories arrive.
///
/// It keeps changes, not inventories: memory grows with what will be done. Repositories may arrive in any order.
#[derive(Debug, Default)]
pub struct Draft {
    scope: Scope,
    changes: Vec<Change>,
    unchanged: Vec<Unchanged>,
    unchanged_count: u64,
    skipped: Vec<Skipped>,
    diagnostics: Vec<Diagnostic>,
    keeps_unchanged: bool,
    present: BTreeSet<(RegistryKey, RepositoryName)>,
    matched_rules: BTreeSet<(String, RegistryKey)>,
    unmatched: BTreeMap<String, BTreeSet<RepositoryName>>,
    unread: BTreeSet<RegistryKey>,
}

impl Draft {
    /// An empty draft; `keeps_unchanged` if targets that are right already are to be listed, not only counted.
    ///
    /// Repositories that are not in scope need not be added, and are not missed.
    pub fn new(keeps_unchanged: bool, scope: &Scope) -> Self {
        Self {
            scope: scope.clone(),
            keeps_unchanged,
            ..Self::default()
        }
    }

    /// Adds what was planned for one repository.
    pub fn add(
        &mut self,
        plan: &Plan,
        registry: &RegistryKey,
        repository: &RepositoryName,
        planned: RepositoryPlan,
    ) {
        self.present.insert((registry.clone(), repository.clone()));
        for rule in plan
            .rules
            .iter()
            .filter(|rule| rule.applies_to(registry, repository))
        {
            self.matched_rules.insert((rule.name.clone(), registry.clone()));
        }
        for rule in planned.unmatched {
            self.unmatched.entry(rule).or_default().insert(repository.clone());
        }
        self.changes.extend(planned.changes);
        self.unchanged_count += u64::try_from(planned.unchanged.len()).unwrap_or(u64::MAX);
        if self.keeps_unchanged {
            self.unchanged.extend(planned.unchanged);
        }
        self.skipped.extend(planned.skipped);
        self.diagnostics.extend(planned.diagnostics);
    }

    /// Notes that a registry could not be read completely: what did not arrive from it may be there all the same.
    pub fn miss(&mut self, registry: &RegistryKey) {
        self.unread.insert(registry.clone());
    }

    /// Finishes the changeset, with what can only be said once every repository has arrived.
    pub fn finish(
        mut self,
        plan: &Plan,
        registries: Vec<RegistryIdentity>,
        created_at: Option<Timestamp>,
    ) -> Changeset {
        self.report_missing_repositories(plan, &registries);
        self.report_unmatched(plan);
        self.report_empty_scope();
        self.changes.sort_unstable_by(|a, b| a.address.cmp(&b.address));
        self.unchanged.sort_unstable_by(|a, b| a.address.cmp(&b.address));
        self.skipped.sort_by(|a, b| a.address.cmp(&b.address));
        for passed in guard::check_limits(&plan.policy.limits, Counts::of(&self.changes)) {
            let message = format!(
                "the plan makes {} changes that `{}` limits to {}",
                passed.count, passed.key, passed.limit
            );
            let mut diagnostic = Diagnostic::warning(Code::LimitPassed, message).help(format!(
                "`apply` refuses this; raise `policy.{}`, or lift it for one run with `{} {}`",
                passed.key, passed.flag, passed.count
            ));
            if let Some(span) = plan.policy.limit_spans.get(passed.key) {
                diagnostic = diagnostic.at(*span, "this limit");
            }
            self.diagnostics.push(diagnostic);
        }
        diagnostic::sort(&mut self.diagnostics);
        // A rule that reads what it writes does so in every repository; one example says it all.
        let mut said = BTreeSet::new();
        self.diagnostics.retain(|diagnostic| {
            diagnostic.code != Code::ReadsWhatItMoves
                || said.insert(
                    diagnostic
                        .labels
                        .iter()
                        .map(|label| label.span)
                        .collect::<Vec<_>>(),
                )
        });
        Changeset {
            name: plan.name.clone(),
            created_at,
            sources: plan.sources.clone(),
            variables: plan.variables.clone(),
            registries,
            changes: self.changes,
            unchanged: self.unchanged,
            unchanged_count: self.unchanged_count,
            skipped: self.skipped,
            limits: plan.policy.limits,
            diagnostics: self.diagnostics,
            is_incomplete: !self.unread.is_empty(),
        }
    }

    /// An exact repository must be there in each registry of its rule; a pattern must match somewhere.
    fn report_missing_repositories(&mut self, plan: &Plan, registries: &[RegistryIdentity]) {
        for rule in &plan.rules {
            let report = |code: Code, message: String, help: &str| {
                let diagnostic = match rule.on_missing.unwrap_or(OnMissing::Fail) {
                    OnMissing::Fail => Diagnostic::error(code, message).help(help),
                    OnMissing::Warn => Diagnostic::warning(code, message),
                    OnMissing::Ignore => return None,
                };
                Some(diagnostic)
            };
            for (repository, span) in rule.repositories.exact() {
                if !rule.repositories.matches(repository) {
                    continue;
                }
                for registry in rule
                    .registries
                    .iter()
                    .filter(|registry| !self.unread.contains(*registry))
                {
                    if self.present.contains(&(registry.clone(), repository.clone()))
                        || !self.scope.may_contain(registry, repository)
                    {
                        continue;
                    }
                    let region = registries
                        .iter()
                        .find(|identity| identity.key == *registry)
                        .and_then(|identity| identity.region.as_ref());
                    let place = match region {
                        Some(region) if plan.registries.len() > 1 => {
                            format!(" in registry `{registry}` ({region})")
                        }
                        Some(region) => format!(" in {region}"),
                        None => String::new(),
                    };
                    let diagnostic = report(
                        Code::RepositoryNotFound,
                        format!("there is no repository `{repository}`{place}"),
                        "correct the name, the account or the region, or set `on_missing: warn`",
                    );
                    self.diagnostics
                        .extend(diagnostic.map(|d| d.at(span, format!("rule `{}`", rule.name))));
                }
            }
            let misses_some = rule
                .registries
                .iter()
                .any(|registry| self.unread.contains(registry));
            let matches_somewhere = rule.registries.iter().any(|registry| {
                self.matched_rules
                    .contains(&(rule.name.clone(), registry.clone()))
            });
            let may_match_unread = misses_some || !self.scope.is_everything();
            if rule.repositories.has_globs() && !matches_somewhere && !may_match_unread {
                let diagnostic = report(
                    Code::NoRepositoryMatches,
                    format!("no repository matches the patterns of rule `{}`", rule.name),
                    "correct the patterns, the account or the region, or set `on_missing: warn`",
                );
                self.diagnostics.extend(diagnostic.map(|d| d.at(rule.span, "")));
            }
        }
    }

    /// A pattern with a slip in it would else look like a plan with nothing left to do.
    fn report_empty_scope(&mut self) {
        let is_empty = self.changes.is_empty() && self.unchanged_count == 0 && self.skipped.is_empty();
        let is_explained = !self.unread.is_empty() || !self.diagnostics.is_empty();
        if is_empty && !is_explained && !self.scope.is_everything() {
            let message = "`--target` and `--exclude` leave no address of the plan";
            self.diagnostics
                .push(Diagnostic::warning(Code::NothingInScope, message).help(
                "correct the patterns; without them the plan shows its addresses, such as `shop/api:stable`",
            ));
        }
    }

    fn report_unmatched(&mut self, plan: &Plan) {
        const SHOWN_MAX: usize = 5;
        for rule in &plan.rules {
            let Some(repositories) = self.unmatched.get(&rule.name) else {
                continue;
            };
            let mut names: Vec<String> = repositories
                .iter()
                .take(SHOWN_MAX)
                .map(|name| format!("`{name}`"))
                .collect();
            if repositories.len() > SHOWN_MAX {
                names.push(format!("{} more", repositories.len() - SHOWN_MAX));
            }
            let message = format!("rule `{}` selects no tag of {}", rule.name, names.join(", "));
            let diagnostic = match rule.on_missing.unwrap_or(OnMissing::Warn) {
                OnMissing::Fail => Diagnostic::error(Code::NothingSelected, message)
                    .help("correct the selector, or set `on_missing: warn`"),
                OnMissing::Warn => Diagnostic::warning(Code::NothingSelected, message),
                OnMissing::Ignore => continue,
            };
            self.diagnostics.push(diagnostic.at(rule.span, ""));
        }
    }
}
