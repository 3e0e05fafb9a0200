//! What the rules want of one repository, before it is compared with what is there.

use std::collections::{BTreeMap, BTreeSet};

use super::pick::{self, Picked};
use super::plan::Input;
use super::reason::{Origin, Reason};
use crate::diagnostic::{Code, Diagnostic, Span};
use crate::model::{Digest, Tag};
use crate::plan::{Candidate, OnMissing, Rule};

/// Everything that the rules want of one repository.
#[derive(Default)]
pub(super) struct Wishes<'a> {
    /// What is wanted of each tag.
    pub by_target: BTreeMap<Tag, Wish<'a>>,
    /// Every tag that some rule sets, in or out of scope: none of them is removed.
    pub set: BTreeSet<Tag>,
    /// Sources that go away once all of their targets are right.
    pub removals: BTreeMap<Tag, Removal<'a>>,
    /// What every source is read for, by whichever rule.
    pub uses: BTreeMap<Tag, Uses>,
    /// Targets of renames whose source is gone already.
    pub renamed: BTreeMap<Tag, Vec<&'a Rule>>,
    /// Rules that select nothing here.
    pub unmatched: Vec<&'a Rule>,
}

/// What is wanted of one tag.
pub(super) struct Wish<'a> {
    /// The image it should be on.
    pub digest: Digest,
    /// The tag the image was found under.
    pub source: Option<Tag>,
    /// Why.
    pub reason: Reason,
    /// The earliest stage that any rule wants it in.
    pub stage: u32,
    /// Who wants it, in the order of the plan file.
    pub requests: Vec<Request<'a>>,
}

/// One rule that wants a tag to be somewhere.
#[derive(Clone)]
pub(super) struct Request<'a> {
    /// The rule.
    pub rule: &'a Rule,
    /// Where the plan file says so.
    pub span: Span,
    /// The source that was picked; absent for a backup.
    pub candidate: Option<Candidate>,
}

/// A source that goes away once all of its targets are right.
pub(super) struct Removal<'a> {
    /// The image the source is on.
    pub digest: Digest,
    /// Every target that was rendered from the source.
    pub targets: BTreeSet<Tag>,
    /// The rules that rename it.
    pub rules: Vec<&'a Rule>,
    /// The latest stage of these rules.
    pub stage: u32,
    /// A target that another source was picked for, if there is one.
    pub lost: Option<Tag>,
}

/// What a source is read for: until all of that is right, a second run could still need it.
#[derive(Default)]
pub(super) struct Uses {
    /// The targets that get its image.
    pub targets: BTreeSet<Tag>,
    /// The latest stage that one of them comes in.
    pub stage: u32,
}

/// Asks every rule what it makes of the repository.
pub(super) fn collect<'a>(input: &Input<'a>, diagnostics: &mut Vec<Diagnostic>) -> Wishes<'a> {
    let mut wishes = Wishes::default();
    let repository = &input.inventory.repository;
    for rule in &input.plan.rules {
        if !rule.applies_to(input.registry, repository) {
            continue;
        }
        let selection = rule.select(repository, input.inventory, input.now);
        for missing in &selection.missing {
            let is_renamed = rule.remove_source
                && !missing.targets.is_empty()
                && missing
                    .targets
                    .iter()
                    .all(|target| input.inventory.tags.contains_key(target));
            if is_renamed {
                for target in &missing.targets {
                    wishes.renamed.entry(target.clone()).or_default().push(rule);
                    wishes.set.insert(target.clone());
                }
                continue;
            }
            let message = format!("`{repository}` has no tag `{}`", missing.source);
            let code = Code::SourceNotFound;
            let diagnostic = match rule.on_missing.unwrap_or(OnMissing::Fail) {
                OnMissing::Fail => Diagnostic::error(code, message)
                    .help("correct the source, or set `on_missing: warn` if it may be absent"),
                OnMissing::Warn => Diagnostic::warning(code, message),
                OnMissing::Ignore => continue,
            };
            diagnostics.push(diagnostic.at(missing.span, format!("rule `{}`", rule.name)));
        }
        if selection.candidates.is_empty() && selection.missing.is_empty() && selection.problems.is_empty() {
            wishes.unmatched.push(rule);
        }
        diagnostics.extend(selection.problems);
        collect_rule(input, rule, &selection.candidates, &mut wishes, diagnostics);
    }
    wishes
}

/// Picks one source for each target of one rule, and notes which sources go away.
fn collect_rule<'a>(
    input: &Input<'a>,
    rule: &'a Rule,
    candidates: &[Candidate],
    wishes: &mut Wishes<'a>,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let mut by_target: BTreeMap<&Tag, Vec<&Candidate>> = BTreeMap::new();
    for candidate in candidates {
        by_target.entry(&candidate.target).or_default().push(candidate);
    }
    let mut picked_by_target: BTreeMap<&Tag, Picked<'_>> = BTreeMap::new();
    for (target, rivals) in by_target {
        wishes.set.insert(target.clone());
        if !input.is_in_scope(target) {
            continue;
        }
        match pick::pick(rule, &rivals, input.inventory) {
            Ok(picked) => {
                for source in picked.sources.iter().filter(|source| **source != target) {
                    let uses = wishes.uses.entry((*source).clone()).or_default();
                    uses.targets.insert(target.clone());
                    uses.stage = uses.stage.max(rule.stage);
                }
                wishes.add(target, &picked, rule, diagnostics);
                if rule.remove_source {
                    picked_by_target.insert(target, picked);
                }
            }
            Err(diagnostic) => diagnostics.push(diagnostic),
        }
    }
    if !rule.remove_source {
        return;
    }
    for candidate in candidates {
        let Some(source) = &candidate.source else { continue };
        if candidate.target == *source {
            continue;
        }
        let removal = wishes.removals.entry(source.clone()).or_insert_with(|| Removal {
            digest: candidate.digest,
            targets: BTreeSet::new(),
            rules: Vec::new(),
            stage: rule.stage,
            lost: None,
        });
        removal.targets.insert(candidate.target.clone());
        removal.stage = removal.stage.max(rule.stage);
        if removal.rules.last().is_none_or(|last| last.name != rule.name) {
            removal.rules.push(rule);
        }
        let is_picked = picked_by_target
            .get(&candidate.target)
            .is_none_or(|picked| picked.sources.contains(&source));
        if !is_picked {
            removal.lost.get_or_insert_with(|| candidate.target.clone());
        }
    }
}

impl<'a> Wishes<'a> {
    fn add(&mut self, target: &Tag, picked: &Picked<'_>, rule: &'a Rule, diagnostics: &mut Vec<Diagnostic>) {
        let candidate = picked.candidate;
        let origin = candidate
            .source
            .clone()
            .map_or_else(|| Origin::Digest(candidate.digest), Origin::Tag);
        let wish = Wish {
            digest: candidate.digest,
            source: candidate.source.clone(),
            reason: Reason::From {
                source: origin,
                picked: picked.among,
            },
            stage: rule.stage,
            requests: vec![Request {
                rule,
                span: candidate.span,
                candidate: Some(candidate.clone()),
            }],
        };
        self.merge(target, wish, diagnostics);
    }

    /// Adds a wish; one that wants another image on the same tag is a conflict, and neither is granted.
    pub(super) fn merge(&mut self, target: &Tag, wish: Wish<'a>, diagnostics: &mut Vec<Diagnostic>) {
        let Some(present) = self.by_target.get_mut(target) else {
            self.by_target.insert(target.clone(), wish);
            return;
        };
        if present.digest == wish.digest {
            present.stage = present.stage.min(wish.stage);
            match (&mut present.reason, wish.reason) {
                (Reason::BackupOf(known), Reason::BackupOf(more)) => known.extend(more),
                (Reason::BackupOf(_), reason) => present.reason = reason,
                _ => {}
            }
            present.requests.extend(wish.requests);
            return;
        }
        let mut diagnostic = Diagnostic::error(
            Code::TargetConflict,
            format!("`{target}` is wanted on two different images"),
        )
        .help("take the tag out of one of the rules, or restrict their repositories");
        for (wish, requests) in [(&*present, &present.requests), (&wish, &wish.requests)] {
            for request in requests {
                let text = format!(
                    "rule `{}` wants sha256:{} ({})",
                    request.rule.name,
                    wish.digest.short(),
                    wish.reason
                );
                diagnostic = diagnostic.at(request.span, text);
            }
        }
        diagnostics.push(diagnostic);
    }
}
