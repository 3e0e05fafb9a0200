//! From the rules and what one repository holds to the changes that make the one fit the other.
//!
//! Total and deterministic: every tag a rule wants ends as a change, as unchanged, as skipped with a reason, or as
//! a diagnostic; nothing here depends on the order of rules, repositories or pages.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::guard;
use super::judge::{Verdict, protected};
use super::order;
use super::reason::Reason;
use super::repeat;
use super::scope::Scope;
use super::wish::{self, Removal, Request, Uses, Wish, Wishes};
use super::{Action, Change, SkipReason, Skipped, Unchanged};
use crate::diagnostic::Diagnostic;
use crate::inventory::Inventory;
use crate::model::{Address, Digest, RegistryKey, Tag};
use crate::plan::{Backup, OnProtected, Plan, Rule};

/// What one repository is planned from.
#[derive(Clone, Copy)]
pub struct Input<'a> {
    /// The checked plan.
    pub plan: &'a Plan,
    /// The registry that the repository is in.
    pub registry: &'a RegistryKey,
    /// What the repository holds.
    pub inventory: &'a Inventory,
    /// The moment that spans such as `30d` count from.
    pub now: Timestamp,
    /// The addresses the run is about.
    pub scope: &'a Scope,
}

/// What is to be done in one repository.
#[derive(Debug, Clone, Default)]
pub struct RepositoryPlan {
    /// The changes, sorted by tag.
    pub changes: Vec<Change>,
    /// Targets that are right already, sorted by tag.
    pub unchanged: Vec<Unchanged>,
    /// Changes that are not made, sorted by tag.
    pub skipped: Vec<Skipped>,
    /// What there is to say, in no particular order.
    pub diagnostics: Vec<Diagnostic>,
    /// The names of rules that select nothing here.
    pub unmatched: Vec<String>,
}

impl Input<'_> {
    pub(super) fn is_in_scope(&self, tag: &Tag) -> bool {
        self.scope
            .contains(self.registry, &self.inventory.repository, tag)
    }

    pub(super) fn address(&self, tag: &Tag) -> Address {
        Address {
            registry: self.registry.clone(),
            repository: self.inventory.repository.clone(),
            tag: tag.clone(),
        }
    }

    pub(super) fn digest_of(&self, tag: &Tag) -> Option<Digest> {
        self.inventory.tags.get(tag).copied()
    }

    pub(super) fn is_protected(&self, tag: &Tag) -> bool {
        self.plan
            .policy
            .protect
            .iter()
            .any(|glob| glob.matches(tag.as_str()))
    }
}

/// Plans one repository.
pub fn plan_repository(input: &Input<'_>) -> RepositoryPlan {
    let mut planned = plan_once(input);
    let warning = repeat::means_something_else(input, &planned);
    planned.diagnostics.extend(warning);
    planned
}

/// Plans one repository, and does not ask what a second run would do.
pub(super) fn plan_once(input: &Input<'_>) -> RepositoryPlan {
    let mut diagnostics = Vec::new();
    let wishes = wish::collect(input, &mut diagnostics);
    let mut planner = Planner {
        input: *input,
        changes: BTreeMap::new(),
        unchanged: BTreeMap::new(),
        skipped: BTreeMap::new(),
        diagnostics,
    };
    let unmatched = wishes.unmatched.iter().map(|rule| rule.name.clone()).collect();
    let warns_of_reading = repeat::reads_what_it_moves(&wishes);
    planner.decide(wishes);
    planner.leave_out_what_lacks_its_requirements();
    guard::check_images(&mut planner);
    planner.leave_out_what_lacks_its_requirements();
    for (tags, diagnostic) in warns_of_reading {
        if tags.iter().any(|tag| planner.changes.contains_key(tag)) {
            planner.diagnostics.push(diagnostic);
        }
    }
    planner.finish(unmatched)
}

/// The images that lose a tag under this plan, whose other tags must therefore be known.
pub fn images_losing_tags(input: &Input<'_>) -> BTreeSet<Digest> {
    plan_once(input)
        .changes
        .iter()
        .filter_map(|change| change.action.before())
        .collect()
}

/// What is decided so far.
pub(super) struct Planner<'a> {
    pub(super) input: Input<'a>,
    pub(super) changes: BTreeMap<Tag, Planned<'a>>,
    unchanged: BTreeMap<Tag, Vec<&'a Rule>>,
    pub(super) skipped: BTreeMap<Tag, (Vec<&'a Rule>, SkipReason)>,
    pub(super) diagnostics: Vec<Diagnostic>,
}

/// A change while its requirements are still being checked.
pub(super) struct Planned<'a> {
    pub(super) action: Action,
    pub(super) stage: u32,
    pub(super) requests: Vec<Request<'a>>,
    source: Option<Tag>,
    reason: Reason,
    pub(super) requires: BTreeSet<Tag>,
    /// The moves it is made for, if nothing but moves asks for it.
    pub(super) backup_of: BTreeSet<Tag>,
    pub(super) is_reversible: bool,
}

impl<'a> Planner<'a> {
    fn decide(&mut self, mut wishes: Wishes<'a>) {
        let mut queue: Vec<Tag> = wishes.by_target.keys().cloned().collect();
        queue.reverse();
        let mut requires: BTreeMap<Tag, BTreeSet<Tag>> = BTreeMap::new();
        let mut moved = BTreeMap::new();
        // A backup may move a tag that has a backup itself, so that deciding one wish can add others.
        while let Some(target) = queue.pop() {
            let Some(wish) = wishes.by_target.get(&target) else {
                continue;
            };
            let backups = backups_of(&target, wish);
            if backups.is_empty() {
                continue;
            }
            let Verdict::Change(Action::Move { before, .. }) = self.judge(&target, wish, false) else {
                continue;
            };
            if moved.insert(target.clone(), before).is_some() {
                continue;
            }
            for (backup, rule) in backups {
                requires
                    .entry(target.clone())
                    .or_default()
                    .insert(backup.tag.clone());
                let wish = Wish {
                    digest: before,
                    source: Some(target.clone()),
                    reason: Reason::BackupOf(vec![target.clone()]),
                    stage: rule.stage,
                    requests: vec![Request {
                        rule,
                        span: backup.span,
                        candidate: None,
                    }],
                };
                wishes.set.insert(backup.tag.clone());
                if self.input.is_in_scope(&backup.tag) {
                    wishes.merge(&backup.tag, wish, &mut self.diagnostics);
                    queue.push(backup.tag.clone());
                }
            }
        }
        for (target, wish) in std::mem::take(&mut wishes.by_target) {
            let requires = requires.remove(&target).unwrap_or_default();
            self.grant(target, wish, requires);
        }
        for (target, rules) in std::mem::take(&mut wishes.renamed) {
            self.unchanged.entry(target).or_default().extend(rules);
        }
        self.refuse_circles();
        for (source, removal) in std::mem::take(&mut wishes.removals) {
            // If a tag is both removed and set, setting wins.
            if !wishes.set.contains(&source) && self.input.is_in_scope(&source) {
                let uses = wishes.uses.remove(&source).unwrap_or_default();
                self.remove(source, removal, uses);
            }
        }
        self.align_stages();
    }

    fn grant(&mut self, target: Tag, wish: Wish<'a>, requires: BTreeSet<Tag>) {
        match self.judge(&target, &wish, true) {
            Verdict::Unchanged => {
                self.unchanged
                    .insert(target, wish.requests.iter().map(|request| request.rule).collect());
            }
            Verdict::Skip(why) => {
                let rules = wish.requests.iter().map(|request| request.rule).collect();
                self.skipped.insert(target, (rules, why));
            }
            Verdict::Broken => {}
            Verdict::Change(action) => {
                let backup_of = match &wish.reason {
                    Reason::BackupOf(tags) => tags.iter().cloned().collect(),
                    _ => BTreeSet::new(),
                };
                let planned = Planned {
                    action,
                    stage: wish.stage,
                    requests: wish.requests,
                    source: wish.source,
                    reason: wish.reason,
                    requires,
                    backup_of,
                    is_reversible: true,
                };
                self.changes.insert(target, planned);
            }
        }
    }

    fn remove(&mut self, source: Tag, removal: Removal<'a>, uses: Uses) {
        let repository = &self.input.inventory.repository;
        let rules = removal.rules.clone();
        if let Some(target) = removal.lost {
            self.skipped
                .insert(source, (rules, SkipReason::NotPicked(target)));
            return;
        }
        if self.input.is_protected(&source) {
            match self.input.plan.policy.on_protected {
                OnProtected::Skip => {
                    self.skipped.insert(source, (rules, SkipReason::Protected));
                }
                OnProtected::Fail => {
                    let mut diagnostic = protected(&format!("{repository}:{source}"), "removed");
                    for rule in rules {
                        diagnostic = diagnostic.at(rule.span, format!("rule `{}` renames it", rule.name));
                    }
                    self.diagnostics.push(diagnostic);
                }
            }
            return;
        }
        let targets: Vec<Tag> = removal.targets.iter().cloned().collect();
        let planned = Planned {
            action: Action::Remove {
                before: removal.digest,
            },
            stage: removal.stage.max(uses.stage),
            requests: removal
                .rules
                .iter()
                .map(|rule| Request {
                    rule,
                    span: rule.span,
                    candidate: None,
                })
                .collect(),
            source: None,
            reason: Reason::RenamedTo(targets),
            requires: removal.targets.into_iter().chain(uses.targets).collect(),
            backup_of: BTreeSet::new(),
            is_reversible: true,
        };
        self.changes.insert(source, planned);
    }

    fn finish(self, unmatched: Vec<String>) -> RepositoryPlan {
        let input = self.input;
        let names = |rules: Vec<&Rule>| {
            let mut names: Vec<String> = Vec::new();
            for rule in rules {
                if !names.contains(&rule.name) {
                    names.push(rule.name.clone());
                }
            }
            names
        };
        let mut changes: Vec<Change> = self
            .changes
            .into_iter()
            .map(|(tag, planned)| Change {
                address: input.address(&tag),
                action: planned.action,
                stage: planned.stage,
                wave: 0,
                rules: names(planned.requests.iter().map(|request| request.rule).collect()),
                source: planned.source,
                requires: planned.requires.into_iter().collect(),
                backup_of: planned.backup_of.into_iter().collect(),
                reason: planned.reason,
                is_reversible: planned.is_reversible,
            })
            .collect();
        order::assign_waves(&mut changes, &guard::known_tags(input.inventory));
        let unchanged = self.unchanged.into_iter().map(|(tag, rules)| Unchanged {
            address: input.address(&tag),
            digest: input.digest_of(&tag),
            rules: names(rules),
        });
        let skipped = self.skipped.into_iter().map(|(tag, (rules, why))| Skipped {
            address: input.address(&tag),
            rules: names(rules),
            why,
        });
        RepositoryPlan {
            changes,
            unchanged: unchanged.collect(),
            skipped: skipped.collect(),
            diagnostics: self.diagnostics,
            unmatched,
        }
    }
}

/// The backups that the rules behind a wish ask for, each once.
fn backups_of<'a>(target: &Tag, wish: &Wish<'a>) -> Vec<(&'a Backup, &'a Rule)> {
    let mut backups: Vec<(&Backup, &Rule)> = Vec::new();
    for request in &wish.requests {
        let rule: &'a Rule = request.rule;
        for backup in rule.backup.iter().filter(|backup| backup.target == *target) {
            if !backups.iter().any(|(known, _)| known.tag == backup.tag) {
                backups.push((backup, rule));
            }
        }
    }
    backups
}
