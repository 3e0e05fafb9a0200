//! Which source counts when several render to one target, and whether it ranks above what is there.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use super::plan::Input;
use crate::diagnostic::{Code, Diagnostic};
use crate::inventory::Inventory;
use crate::model::{Digest, Tag};
use crate::plan::rank::{self, Order, Rank};
use crate::plan::{Candidate, Pick, Rule};

/// The source that counts for one target.
pub(super) struct Picked<'a> {
    /// The source itself.
    pub candidate: &'a Candidate,
    /// The source tags that a rename takes away.
    pub sources: BTreeSet<&'a Tag>,
    /// By which order it was picked, and among how many sources, where there was a choice.
    pub among: Option<(Order, usize)>,
}

/// Picks one source among those of one rule that render to the same target.
pub(super) fn pick<'a>(
    rule: &Rule,
    rivals: &[&'a Candidate],
    inventory: &Inventory,
) -> Result<Picked<'a>, Diagnostic> {
    let digests: BTreeSet<Digest> = rivals.iter().map(|rival| rival.digest).collect();
    if rule.pick == Pick::Only {
        if digests.len() > 1 {
            let help = "choose with `pick: newest` or `pick: highest`, or select fewer tags";
            return Err(ambiguous("several images", rule, rivals, inventory).help(help));
        }
        return represent(rivals)
            .map(|candidate| Picked {
                candidate,
                sources: rivals.iter().filter_map(|rival| rival.source.as_ref()).collect(),
                among: None,
            })
            .ok_or_else(|| ambiguous("no image", rule, rivals, inventory));
    }
    let ranks: Vec<Rank> = rivals.iter().map(|rival| rival.rank(inventory)).collect();
    let Some((order, places)) = rank::best(rule.pick, &ranks) else {
        return Err(ambiguous(
            "several images that cannot be ranked",
            rule,
            rivals,
            inventory,
        ));
    };
    let highest: Vec<&Candidate> = places
        .iter()
        .filter_map(|&place| rivals.get(place).copied())
        .collect();
    let is_tie = highest
        .iter()
        .any(|rival| Some(rival.digest) != highest.first().map(|first| first.digest));
    match represent(&highest) {
        Some(candidate) if !is_tie => Ok(Picked {
            candidate,
            sources: candidate.source.iter().collect(),
            among: (rivals.len() > 1).then_some((order, rivals.len())),
        }),
        _ => Err(ambiguous(
            "several images that rank the same",
            rule,
            &highest,
            inventory,
        )),
    }
}

/// Among sources of the same image the first by name; the target itself only if it is the only one.
fn represent<'a>(rivals: &[&'a Candidate]) -> Option<&'a Candidate> {
    let is_itself = |rival: &Candidate| rival.source.as_ref() == Some(&rival.target);
    rivals
        .iter()
        .copied()
        .min_by_key(|rival| (is_itself(rival), rival.source.clone()))
}

fn ambiguous(what: &str, rule: &Rule, rivals: &[&Candidate], inventory: &Inventory) -> Diagnostic {
    const SHOWN_MAX: usize = 8;
    let mut tags_by_digest: BTreeMap<Digest, Vec<&str>> = BTreeMap::new();
    for rival in rivals {
        tags_by_digest
            .entry(rival.digest)
            .or_default()
            .push(rival.source.as_ref().map_or("(no tag)", Tag::as_str));
    }
    let mut images: Vec<String> = tags_by_digest
        .iter()
        .take(SHOWN_MAX)
        .map(|(digest, tags)| {
            let shown = tags
                .iter()
                .take(SHOWN_MAX)
                .copied()
                .collect::<Vec<_>>()
                .join("`, `");
            let more = tags.len().saturating_sub(SHOWN_MAX);
            let more = if more > 0 {
                format!(" and {more} more")
            } else {
                String::new()
            };
            format!("`{shown}`{more} on sha256:{}", digest.short())
        })
        .collect();
    if let Some(more) = tags_by_digest.len().checked_sub(SHOWN_MAX + 1) {
        images.push(format!("{} more", more + 1));
    }
    let target = rivals
        .first()
        .map(|rival| rival.target.to_string())
        .unwrap_or_default();
    let message = format!(
        "`{}:{target}` has {what} to choose from: {}",
        inventory.repository,
        images.join("; ")
    );
    let diagnostic = Diagnostic::error(Code::AmbiguousSource, message);
    let spans: BTreeSet<_> = rivals.iter().map(|rival| rival.span).collect();
    spans.into_iter().fold(diagnostic, |diagnostic, span| {
        diagnostic.at(span, format!("rule `{}`", rule.name))
    })
}

/// Whether a picked source ranks above the image its target is on.
pub(super) enum Advance {
    /// It does.
    Ahead,
    /// It ranks below.
    Behind,
    /// It cannot be said, for this reason.
    Unclear(String),
}

/// Ranks a picked source against the image its target is on, by the order that the rule's `pick` names.
pub(super) fn is_ahead(rule: &Rule, candidate: &Candidate, before: Digest, input: &Input<'_>) -> Advance {
    let picked = candidate.rank(input.inventory);
    let Some(present) = rule.present_rank(input.inventory, before, input.now) else {
        return Advance::Unclear(format!(
            "no tag of its present image sha256:{} is one that the rule selects",
            before.short()
        ));
    };
    let order = Order::of(rule.pick, [&picked, &present]);
    match order.compare(&picked, &present) {
        Some(Ordering::Greater) => Advance::Ahead,
        Some(Ordering::Less) => Advance::Behind,
        Some(Ordering::Equal) => Advance::Unclear(format!("both images rank the same by {}", order.as_str())),
        None => Advance::Unclear(format!(
            "one of the images has no place in the {}",
            order.as_str()
        )),
    }
}
