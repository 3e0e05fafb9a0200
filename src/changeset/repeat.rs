//! Whether a second run of the plan would mean the same.
//!
//! A plan that reads what it writes says something else the second time: a swap swaps back, and a pattern that
//! matches its own targets goes on for ever.

use std::collections::BTreeSet;

use crate::diagnostic::{Code, Diagnostic};
use crate::inventory::Inventory;
use crate::model::Tag;

use super::Change;
use super::plan::{Input, RepositoryPlan, plan_once};
use super::wish::{Wish, Wishes};

/// A warning if the plan would change the repository once more after these changes were made.
///
/// Finds what [`reads_what_it_moves`] cannot see from the wishes: tags that did not exist when they were read.
pub(super) fn means_something_else(input: &Input<'_>, planned: &RepositoryPlan) -> Option<Diagnostic> {
    let is_known = planned
        .diagnostics
        .iter()
        .any(|diagnostic| diagnostic.code == Code::ReadsWhatItMoves);
    if planned.changes.is_empty() || is_known {
        return None;
    }
    let inventory = carried_out(input.inventory, &planned.changes);
    let again = plan_once(&Input {
        inventory: &inventory,
        ..*input
    });
    let change = again.changes.first()?;
    // Without the repository, so that it is said once however many repositories the rules apply to.
    let message = format!(
        "`{}` would change once more in a second run: this plan reads what it writes",
        change.address.tag
    );
    let warning = Diagnostic::warning(Code::ReadsWhatItMoves, message).help(
        "choose other targets, or leave them out of the patterns with `exclude`; or use `expect`, or save the \
         changeset with `plan --out` and apply that",
    );
    let rules = input
        .plan
        .rules
        .iter()
        .filter(|rule| change.rules.contains(&rule.name));
    Some(rules.fold(warning, |warning, rule| {
        warning.at(rule.span, format!("rule `{}` ({})", rule.name, change.reason))
    }))
}

/// What the repository holds once these changes are made.
pub(super) fn carried_out(inventory: &Inventory, changes: &[Change]) -> Inventory {
    let mut inventory = inventory.clone();
    let mut moved = BTreeSet::new();
    for change in changes {
        let tag = &change.address.tag;
        match change.action.after() {
            Some(after) => inventory.tags.insert(tag.clone(), after),
            None => inventory.tags.remove(tag),
        };
        moved.insert(tag);
    }
    let known_tags = inventory
        .images
        .values_mut()
        .filter_map(|image| image.tags.as_mut());
    for tags in known_tags {
        tags.retain(|tag| !moved.contains(tag));
    }
    for change in changes {
        let image = change
            .action
            .after()
            .and_then(|after| inventory.images.get_mut(&after));
        if let Some(tags) = image.and_then(|image| image.tags.as_mut()) {
            tags.push(change.address.tag.clone());
        }
    }
    inventory
}

/// The tags that the plan reads and also moves, with what to say if any of them changes.
pub(super) fn reads_what_it_moves(wishes: &Wishes<'_>) -> Vec<([Tag; 2], Diagnostic)> {
    let mut found = Vec::new();
    let is_guarded = |target: &Tag, wish: &Wish<'_>| {
        wish.requests
            .iter()
            .any(|request| request.rule.expect.iter().any(|expect| expect.target == *target))
    };
    for (target, wish) in &wishes.by_target {
        let Some(read) = wish.source.as_ref().filter(|source| *source != target) else {
            continue;
        };
        let Some(moved) = wishes.by_target.get(read) else {
            continue;
        };
        if moved.source.as_ref() == Some(read) || is_guarded(target, wish) || is_guarded(read, moved) {
            continue;
        }
        // Without the repository, so that it is said once however many repositories the rules apply to.
        let message = format!(
            "`{target}` is read from `{read}`, which this plan also moves: a second run would mean something else"
        );
        let mut diagnostic = Diagnostic::warning(Code::ReadsWhatItMoves, message).help(
            "use `backup` to keep the old image, or `expect` to say where the tags must be, or save the changeset \
             with `plan --out` and apply that",
        );
        for request in &wish.requests {
            diagnostic = diagnostic.at(
                request.span,
                format!("rule `{}` reads `{read}`", request.rule.name),
            );
        }
        for request in &moved.requests {
            diagnostic = diagnostic.at(
                request.span,
                format!("rule `{}` moves `{read}`", request.rule.name),
            );
        }
        found.push(([target.clone(), read.clone()], diagnostic));
    }
    found
}
