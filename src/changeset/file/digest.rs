//! The digest by which a changeset is known: what was reviewed is what is applied.

use std::collections::BTreeMap;

use crate::changeset::{Change, Changeset, RegistryIdentity};
use crate::model::{Digest, RegistryKey};
use crate::plan::Limits;

/// The digest of what a changeset does: of every change, its requirements and the limits.
///
/// The SHA-256 of one line a change, `ACCOUNT REGION REPOSITORY TAG BEFORE AFTER STAGE REQUIRES` separated by tabs,
/// the lines sorted by their bytes, and a last line with the limits; `-` stands for none. How a registry is reached is
/// no part of it: whatever way is taken, account and region must be those of the changes.
pub fn plan_digest(changeset: &Changeset) -> Digest {
    let places: BTreeMap<&RegistryKey, String> = changeset
        .registries
        .iter()
        .map(|registry| (&registry.key, place_of(registry)))
        .collect();
    let mut changes: Vec<(&str, &Change)> = changeset
        .changes
        .iter()
        .map(|change| {
            let place = places.get(&change.address.registry);
            (place.map_or("-\t-", String::as_str), change)
        })
        .collect();
    // As their lines are by their bytes: a tab comes before whatever a name may hold.
    changes.sort_unstable_by(|(one_place, one), (other_place, other)| {
        let (a, b) = (&one.address, &other.address);
        (one_place, &a.repository, &a.tag)
            .cmp(&(other_place, &b.repository, &b.tag))
            .then_with(|| digest_line(one_place, one).cmp(&digest_line(other_place, other)))
    });
    let Limits {
        creates,
        moves,
        removes,
    } = changeset.limits;
    let limits = format!(
        "limits\t{}\t{}\t{}\n",
        or_dash(creates),
        or_dash(moves),
        or_dash(removes)
    );
    let lines = changes.iter().map(|(place, change)| digest_line(place, change));
    Digest::of_all(lines.chain([limits]))
}

/// What the digest of a changeset takes in of one change, which is in this account and region.
fn digest_line(place: &str, change: &Change) -> String {
    let repository = &change.address.repository;
    let mut requires: Vec<String> = change
        .requires
        .iter()
        .map(|tag| format!("{}/{repository}:{tag}", place.replace('\t', "/")))
        .collect();
    requires.sort();
    format!(
        "{place}\t{repository}\t{}\t{}\t{}\t{}\t{}\n",
        change.address.tag,
        or_dash(change.action.before()),
        or_dash(change.action.after()),
        change.stage,
        if requires.is_empty() {
            "-".to_owned()
        } else {
            requires.join(",")
        },
    )
}

fn place_of(registry: &RegistryIdentity) -> String {
    format!(
        "{}\t{}",
        or_dash(registry.account.as_ref()),
        or_dash(registry.region.as_ref())
    )
}

fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}
