//! What holds of every plan and every repository, tried on generated ones.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use jiff::Timestamp;
use proptest::prelude::*;

use super::repeat::carried_out;
use super::{Approval, Change, Changeset, Input, Made, RepositoryPlan, Scope, plan_repository, rollback};
use crate::diagnostic::{Code, Severity};
use crate::inventory::Inventory;
use crate::model::{Digest, RegistryKey, Tag};
use crate::plan::{self, Plan, PlanInput, VariableInputs};

const SOURCES: [&str; 4] = ["rc-1", "rc-2", "build-1", "build-2"];
const TARGETS: [&str; 6] = ["stable", "previous", "blue", "green", "rel-rc-1", "rel-rc-2"];

/// One generated rule.
#[derive(Debug, Clone)]
struct Sketch {
    from: String,
    to: Vec<&'static str>,
    on_existing: &'static str,
    remove_source: bool,
    has_backup: bool,
    stage: u8,
}

/// Rules whose sources are no targets, or may be.
fn sketch(reads_targets: bool) -> impl Strategy<Value = Sketch> {
    let mut sources: Vec<&str> = SOURCES.to_vec();
    sources.extend(["'rc-*'", "'build-*'"]);
    if reads_targets {
        sources.extend(TARGETS);
    }
    (
        proptest::sample::select(sources),
        proptest::sample::subsequence(TARGETS.to_vec(), 1..3),
        proptest::sample::select(vec!["move", "move", "keep", "fail"]),
        any::<bool>(),
        any::<bool>(),
        0..2u8,
    )
        .prop_map(
            |(from, to, on_existing, remove_source, has_backup, stage)| Sketch {
                to: if from == "'rc-*'" {
                    vec!["'rel-${tag}'"]
                } else {
                    to
                },
                from: from.to_owned(),
                on_existing,
                remove_source,
                has_backup,
                stage,
            },
        )
}

fn sketches(reads_targets: bool) -> impl Strategy<Value = Vec<Sketch>> {
    proptest::collection::vec(sketch(reads_targets), 1..4)
}

/// Where some of the tags are, among four images.
fn places() -> impl Strategy<Value = BTreeMap<Tag, Digest>> {
    let tags = SOURCES.len() + TARGETS.len();
    proptest::collection::vec(proptest::option::weighted(0.6, 0u8..4), tags).prop_map(|places| {
        let tags = SOURCES.into_iter().chain(TARGETS);
        tags.zip(places)
            .filter_map(|(tag, image)| Some((tag.parse().unwrap(), Digest::of(&[image?]))))
            .collect()
    })
}

fn load<'a>(sketches: impl IntoIterator<Item = (usize, &'a Sketch)>) -> Plan {
    let mut text = "version: 1\nrules:\n".to_owned();
    for (number, sketch) in sketches {
        let Sketch {
            from,
            to,
            on_existing,
            remove_source,
            has_backup,
            stage,
        } = sketch;
        let backup = if *has_backup && to.contains(&"stable") && !to.contains(&"previous") {
            "\n    backup: { stable: previous }"
        } else {
            ""
        };
        let _ = writeln!(
            text,
            "  - name: rule {number}\n    repositories: shop/api\n    from: {from}\n    to: [{}]\n    pick: only\n    \
             on_missing: ignore\n    on_existing: {on_existing}\n    remove_source: {remove_source}\n    stage: \
             {stage}{backup}",
            to.join(", ")
        );
    }
    let input = PlanInput {
        path: "plan.yaml".into(),
        text,
    };
    let loaded = plan::load(vec![input], &VariableInputs::default(), &|_| unreachable!());
    loaded.plan.unwrap()
}

fn inventory(tags: BTreeMap<Tag, Digest>) -> Inventory {
    Inventory {
        tags,
        ..Inventory::empty("shop/api".parse().unwrap())
    }
}

fn plan_with(plan: &Plan, inventory: &Inventory, scope: &Scope) -> RepositoryPlan {
    plan_repository(&Input {
        plan,
        registry: &RegistryKey::default(),
        inventory,
        now: Timestamp::UNIX_EPOCH,
        scope,
    })
}

fn has_problems(planned: &RepositoryPlan) -> bool {
    planned
        .diagnostics
        .iter()
        .any(|d| d.severity != Severity::Warning)
}

/// Whether every change has what it requires, and no backup is made without its move.
fn lacks_nothing(changes: &[Change], tags: &BTreeMap<Tag, Digest>) -> bool {
    let change_of = |tag: &Tag| changes.iter().find(|change| change.address.tag == *tag);
    let will_be_on = |tag: &Tag, digest: Option<Digest>| match change_of(tag) {
        Some(change) => change.action.after() == digest,
        None => tags.get(tag).copied() == digest,
    };
    changes.iter().all(|change| {
        let before = change.action.before();
        change.requires.iter().all(|tag| will_be_on(tag, before))
            && (change.backup_of.is_empty() || change.backup_of.iter().any(|tag| change_of(tag).is_some()))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn what_was_made_needs_no_second_run(sketches in sketches(false), tags in places()) {
        let (plan, inventory) = (load(sketches.iter().enumerate()), inventory(tags));
        let planned = plan_with(&plan, &inventory, &Scope::default());
        prop_assume!(!has_problems(&planned));
        prop_assert!(planned.diagnostics.iter().all(|d| d.code != Code::ReadsWhatItMoves));
        let again = plan_with(&plan, &carried_out(&inventory, &planned.changes), &Scope::default());
        prop_assert_eq!(again.changes, Vec::new());
    }

    #[test]
    fn a_plan_that_a_second_run_reads_anew_is_warned_of(sketches in sketches(true), tags in places()) {
        let (plan, inventory) = (load(sketches.iter().enumerate()), inventory(tags));
        let planned = plan_with(&plan, &inventory, &Scope::default());
        prop_assume!(!has_problems(&planned));
        let again = plan_with(&plan, &carried_out(&inventory, &planned.changes), &Scope::default());
        let is_warned = planned.diagnostics.iter().any(|d| d.code == Code::ReadsWhatItMoves);
        prop_assert!(again.changes.is_empty() || is_warned);
    }

    #[test]
    fn the_order_of_rules_changes_nothing(sketches in sketches(true), tags in places()) {
        let inventory = inventory(tags);
        let forward = plan_with(&load(sketches.iter().enumerate()), &inventory, &Scope::default());
        let backward = plan_with(&load(sketches.iter().enumerate().rev()), &inventory, &Scope::default());
        let facts = |planned: &RepositoryPlan| -> Vec<_> {
            let changes = planned.changes.iter();
            changes.map(|c| (c.address.clone(), c.action, c.stage, c.wave, c.requires.clone())).collect()
        };
        prop_assert_eq!(has_problems(&forward), has_problems(&backward));
        // Where two rules contradict each other, either of them is shown as far as it goes.
        prop_assert!(has_problems(&forward) || facts(&forward) == facts(&backward));
    }

    #[test]
    fn changes_keep_to_what_is_there(sketches in sketches(true), tags in places()) {
        let (plan, inventory) = (load(sketches.iter().enumerate()), inventory(tags));
        let planned = plan_with(&plan, &inventory, &Scope::default());
        let written: BTreeSet<&Tag> = planned.changes.iter().map(|change| &change.address.tag).collect();
        prop_assert_eq!(written.len(), planned.changes.len(), "a tag is written twice");
        for change in &planned.changes {
            let before = inventory.tags.get(&change.address.tag).copied();
            prop_assert_eq!(change.action.before(), before);
            if let Some(after) = change.action.after() {
                prop_assert!(inventory.holds(after), "an image comes from nowhere");
            }
        }
    }

    #[test]
    fn no_removal_takes_the_last_tag(sketches in sketches(true), tags in places()) {
        let (plan, inventory) = (load(sketches.iter().enumerate()), inventory(tags));
        let mut changes = plan_with(&plan, &inventory, &Scope::default()).changes;
        changes.sort_by_key(|change| (change.stage, change.wave));
        let mut now = inventory.tags.clone();
        for change in changes {
            let tag = change.address.tag.clone();
            if let Some(after) = change.action.after() {
                now.insert(tag, after);
            } else {
                let removed = now.remove(&tag).unwrap();
                prop_assert!(now.values().any(|digest| *digest == removed), "{tag}");
            }
        }
    }

    #[test]
    fn what_is_left_out_leaves_out_what_needs_it(
        sketches in sketches(true),
        tags in places(),
        excluded in proptest::sample::select(TARGETS.to_vec()),
        approval in proptest::sample::select(vec![Approval::Creates, Approval::Moves, Approval::All]),
    ) {
        let (plan, inventory) = (load(sketches.iter().enumerate()), inventory(tags));
        let scope = Scope::new(&[], &[format!("shop/api:{excluded}")], false).unwrap();
        let planned = plan_with(&plan, &inventory, &scope);
        prop_assert!(planned.changes.iter().all(|change| change.address.tag.as_str() != excluded));
        prop_assert!(lacks_nothing(&planned.changes, &inventory.tags));
        let mut changeset = Changeset { changes: planned.changes, ..Changeset::default() };
        changeset.approve(approval);
        prop_assert!(lacks_nothing(&changeset.changes, &inventory.tags));
    }

    #[test]
    fn the_way_back_leads_to_where_it_began(
        sketches in sketches(true),
        tags in places(),
        fates in proptest::collection::vec(proptest::sample::select(vec![Made::Yes, Made::Perhaps, Made::No]), 10),
        moved in proptest::option::of((proptest::sample::select(TARGETS.to_vec()), 0u8..4)),
    ) {
        let (plan, before) = (load(sketches.iter().enumerate()), inventory(tags));
        let planned = plan_with(&plan, &before, &Scope::default());
        prop_assume!(!has_problems(&planned));
        let changeset = Changeset { changes: planned.changes, ..Changeset::default() };
        let made: Vec<Made> = fates.into_iter().cycle().take(changeset.changes.len()).collect();
        let done: Vec<Change> = changeset
            .changes
            .iter()
            .zip(&made)
            .filter(|(_, made)| **made == Made::Yes)
            .map(|(change, _)| change.clone())
            .collect();
        let mut now = carried_out(&before, &done);
        // Untagged images stay until somebody deletes them.
        now.images.extend(before.tags.values().map(|digest| (*digest, crate::inventory::Image::default())));
        let moved: Option<Tag> = moved.map(|(tag, image)| {
            let tag: Tag = tag.parse().unwrap();
            now.tags.insert(tag.clone(), Digest::of(&[image]));
            tag
        });
        let place = (RegistryKey::default(), before.repository.clone());
        let mut back = rollback(&changeset, &made, &BTreeMap::from([(place, now.clone())]));
        back.changes.sort_by_key(|change| (change.stage, change.wave));
        let mut tags = now.tags.clone();
        for change in &back.changes {
            let tag = change.address.tag.clone();
            prop_assert_eq!(tags.get(&tag).copied(), change.action.before());
            let was_sent = changeset
                .changes
                .iter()
                .zip(&made)
                .any(|(done, made)| done.address == change.address && *made != Made::No);
            prop_assert!(was_sent, "{tag} was not written by the run");
            let before = change.action.before();
            prop_assert!(change.requires.iter().all(|tag| tags.get(tag).copied() == before), "{tag} goes too early");
            if let Some(after) = change.action.after() {
                tags.insert(tag, after);
            } else {
                let removed = tags.remove(&tag).unwrap();
                prop_assert!(tags.values().any(|digest| *digest == removed), "{tag} is the last of its image");
            }
        }
        let left: BTreeSet<&Tag> = back.skipped.iter().map(|skipped| &skipped.address.tag).collect();
        for change in &done {
            let tag = &change.address.tag;
            let is_back = tags.get(tag) == before.tags.get(tag);
            prop_assert!(is_back || left.contains(tag) || moved.as_ref() == Some(tag), "{tag} is neither back nor named");
        }
    }
}
