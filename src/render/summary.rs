//! A changeset in a few words: where it goes, how much it does, and what it leaves out. All formats share them.

use std::collections::BTreeMap;

use super::text::{self, counted, push};
use crate::changeset::{Change, Changeset, Counts, RegistryIdentity, SkipReason};
use crate::model::{AccountId, Region, RegistryKey};

/// `ACCOUNT/REGION`; `-` for what is not known.
pub(super) fn place(registry: &RegistryIdentity) -> String {
    let account = registry.account.as_ref().map_or("-", AccountId::as_str);
    let region = registry.region.as_ref().map_or("-", Region::as_str);
    format!("{account}/{region}")
}

/// The changes of one registry.
pub(super) struct Section<'a> {
    /// `ACCOUNT/REGION`.
    pub place: String,
    pub changes: Vec<&'a Change>,
}

/// The changes by registry, in the order of their names; a registry without changes is left out.
pub(super) fn sections(changeset: &Changeset) -> Vec<Section<'_>> {
    let places: BTreeMap<&RegistryKey, String> = changeset
        .registries
        .iter()
        .map(|registry| (&registry.key, place(registry)))
        .collect();
    let mut by_registry: BTreeMap<&RegistryKey, Vec<&Change>> = BTreeMap::new();
    for change in &changeset.changes {
        by_registry
            .entry(&change.address.registry)
            .or_default()
            .push(change);
    }
    by_registry
        .into_iter()
        .map(|(key, changes)| Section {
            place: places.get(key).cloned().unwrap_or_else(|| key.to_string()),
            changes,
        })
        .collect()
}

/// The line that other programs look for: `Plan: 1 to add, 1 to change, 1 to destroy.`
///
/// A plan with errors or refusals has none: whoever looks for it must not take it for a plan that can be applied.
pub(super) fn plan_line(changeset: &Changeset) -> String {
    let Counts {
        creates,
        moves,
        removes,
    } = Counts::of(&changeset.changes);
    let counts = format!("{creates} to add, {moves} to change, {removes} to destroy");
    if changeset.is_errored() {
        format!("Planning failed. As far as it goes: {counts}; nothing is saved or applied.")
    } else if changeset.changes.is_empty() {
        "No changes. Your infrastructure matches the configuration.".to_owned()
    } else {
        format!("Plan: {counts}.")
    }
}

/// `41 already correct, 2 skipped (protected). 2 PutImage calls, about 1s at 10/s.`
pub(super) fn facts_line(changeset: &Changeset, puts_per_second: f64) -> String {
    let mut line = format!("{} already correct", changeset.unchanged_count);
    let skipped = skipped_by_reason(changeset);
    match skipped.as_slice() {
        [] => {}
        [(why, count)] => push(&mut line, format_args!(", {count} skipped ({why})")),
        several => {
            let parts: Vec<String> = several
                .iter()
                .map(|(why, count)| format!("{count} {why}"))
                .collect();
            push(
                &mut line,
                format_args!(", {} skipped ({})", changeset.skipped.len(), parts.join(", ")),
            );
        }
    }
    line.push('.');
    let puts = Counts::of(&changeset.changes).puts();
    if !changeset.changes.is_empty() {
        push(
            &mut line,
            format_args!(" {}", counted(puts, "PutImage call", "PutImage calls")),
        );
        if puts > 0 {
            let seconds = most_puts(changeset) / puts_per_second;
            let pace = text::rate(puts_per_second);
            push(
                &mut line,
                format_args!(", about {} at {pace}", text::rough_span(seconds)),
            );
        }
        line.push('.');
    }
    line
}

/// The calls of `PutImage` that the busiest registry takes; all of them are written to at the same time.
fn most_puts(changeset: &Changeset) -> f64 {
    let puts = sections(changeset)
        .iter()
        .map(|section| Counts::of(section.changes.iter().copied()).puts())
        .max()
        .unwrap_or_default();
    f64::from(u32::try_from(puts).unwrap_or(u32::MAX))
}

/// How many changes are not made, by a word that says why, the most frequent first.
pub(super) fn skipped_by_reason(changeset: &Changeset) -> Vec<(&'static str, u64)> {
    let mut counts: BTreeMap<&'static str, u64> = BTreeMap::new();
    for skipped in &changeset.skipped {
        *counts.entry(word(&skipped.why)).or_default() += 1;
    }
    let mut counts: Vec<(&'static str, u64)> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    counts
}

fn word(why: &SkipReason) -> &'static str {
    match why {
        SkipReason::Kept => "kept",
        SkipReason::NotAhead => "not ahead",
        SkipReason::Protected => "protected",
        SkipReason::NotApproved => "not approved",
        SkipReason::Requires(_) => "lacking another change",
        SkipReason::BackupOf(_) => "backup not needed",
        SkipReason::NotPicked(_) => "not picked",
        SkipReason::Saved(_) => "left out",
    }
}
