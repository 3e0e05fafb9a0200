//! What a rule makes of a repository, tag by tag: what it takes, what that becomes, and why it leaves out the rest.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::pick;
use super::reason::Origin;
use crate::diagnostic::Diagnostic;
use crate::inventory::Inventory;
use crate::model::{Digest, RegistryKey, RepositoryName, Tag};
use crate::plan::rank::Order;
use crate::plan::{Candidate, Mapping, Refusal, Rule, Selector};

/// What one rule makes of one repository.
#[derive(Debug, Clone)]
pub struct RuleMatch {
    /// The registry.
    pub registry: RegistryKey,
    /// The repository.
    pub repository: RepositoryName,
    /// The rule's name.
    pub rule: String,
    /// How many tags were looked at.
    pub tags_count: usize,
    /// What the rule takes, by name.
    pub sources: Vec<SourceMatch>,
    /// Tags that it does not take, by name; none where every source is written out.
    pub left_out: Vec<LeftOut>,
    /// Sources that are written out and not there.
    pub missing: Vec<String>,
    /// Targets that cannot be rendered, or whose source cannot be chosen.
    pub problems: Vec<Diagnostic>,
}

/// A source that a rule takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceMatch {
    /// The tag, or the digest that was selected.
    pub source: Origin,
    /// The image it is on.
    pub digest: Digest,
    /// What it becomes.
    pub targets: Vec<TargetMatch>,
}

/// What a source becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetMatch {
    /// The tag.
    pub target: Tag,
    /// Whether this source counts for it.
    pub choice: Choice,
}

/// Whether a source counts for a target that it renders to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// It does; by which order and among how many, where there were several.
    Picked(Option<(Order, usize)>),
    /// Another source ranks higher.
    Lost {
        /// The source that counts.
        to: Origin,
        /// The order that decided.
        order: Option<Order>,
    },
    /// None does: there are several, and nothing says which is meant.
    Undecided,
}

/// A tag that a rule does not take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// The tag.
    pub tag: Tag,
    /// What each selector refuses about it.
    pub refusals: Vec<Refusal>,
}

/// Says what a rule makes of what a repository holds, whether or not it applies to the repository.
pub fn match_rule(rule: &Rule, registry: &RegistryKey, inventory: &Inventory, now: Timestamp) -> RuleMatch {
    let selection = rule.select(&inventory.repository, inventory, now);
    let mut problems = selection.problems;
    let mut by_target: BTreeMap<&Tag, Vec<&Candidate>> = BTreeMap::new();
    for candidate in &selection.candidates {
        by_target.entry(&candidate.target).or_default().push(candidate);
    }
    let mut by_source: BTreeMap<(Option<&Tag>, Digest), Vec<TargetMatch>> = BTreeMap::new();
    for (target, rivals) in by_target {
        let picked = pick::pick(rule, &rivals, inventory);
        for rival in rivals {
            let choice = match &picked {
                Ok(picked) if picked.candidate.digest == rival.digest => Choice::Picked(picked.among),
                Ok(picked) => Choice::Lost {
                    to: origin(picked.candidate),
                    order: picked.among.map(|(order, _)| order),
                },
                Err(_) => Choice::Undecided,
            };
            let targets = by_source
                .entry((rival.source.as_ref(), rival.digest))
                .or_default();
            targets.push(TargetMatch {
                target: target.clone(),
                choice,
            });
        }
        problems.extend(picked.err());
    }
    let taken: BTreeSet<&Tag> = by_source.keys().filter_map(|(source, _)| *source).collect();
    let left_out = if names_its_sources(rule) {
        Vec::new()
    } else {
        let others = inventory.tags.iter().filter(|(tag, _)| !taken.contains(tag));
        others
            .map(|(tag, digest)| LeftOut {
                tag: tag.clone(),
                refusals: rule.refusals(tag, *digest, inventory, now),
            })
            // A source whose targets cannot be rendered is a problem, and not left out.
            .filter(|left_out| !left_out.refusals.is_empty())
            .collect()
    };
    let sources = by_source
        .into_iter()
        .map(|((source, digest), targets)| SourceMatch {
            source: source.cloned().map_or(Origin::Digest(digest), Origin::Tag),
            digest,
            targets,
        });
    RuleMatch {
        registry: registry.clone(),
        repository: inventory.repository.clone(),
        rule: rule.name.clone(),
        tags_count: inventory.tags.len(),
        sources: sources.collect(),
        left_out,
        missing: selection
            .missing
            .into_iter()
            .map(|missing| missing.source)
            .collect(),
        problems,
    }
}

fn origin(candidate: &Candidate) -> Origin {
    let source = candidate.source.clone();
    source.map_or(Origin::Digest(candidate.digest), Origin::Tag)
}

/// Whether every source is written out, so that no tag was ever meant to be looked at.
fn names_its_sources(rule: &Rule) -> bool {
    match &rule.mapping {
        Mapping::Select { from, .. } => from.iter().all(Selector::is_exact),
        Mapping::Map(_) => true,
    }
}
