//! The promises, checked from the sandbox's state, its call log and the journals.
//!
//! The log is replayed in the order in which calls took effect, so that it is known what each read has shown.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ecr_retag::apply::journal::{Fate, Record};
use ecr_retag::changeset::Change;
use ecr_retag::event::ChangeResult;
use ecr_retag::model::{Digest, RepositoryName, Tag};
use ecr_retag::sandbox::Call;
use jiff::{SignedDuration, Timestamp};

use crate::support::{Place, manifests_of, tags_of};
use crate::world::{Ended, Run, World};

/// A second, and the rounding of the sandbox's clock.
const READING_AGE_MAX: SignedDuration = SignedDuration::from_millis(1_001);

/// Every promise that was broken, in words.
pub(crate) fn problems(world: &World, ended: Ended) -> Vec<String> {
    let mut replay = Replay {
        world,
        tags: world.tags_before.clone(),
        readings: BTreeMap::new(),
        descriptions: BTreeMap::new(),
        ours: BTreeMap::new(),
        others: BTreeSet::new(),
        made: BTreeSet::new(),
        found: Vec::new(),
        problems: Vec::new(),
    };
    for call in world.sandbox.calls() {
        replay.take(&call);
    }
    replay.check_found();
    let Replay {
        made,
        others,
        mut problems,
        tags,
        ..
    } = replay;
    if tags != world.sandbox.with_state(tags_of) {
        problems.push("the replay of the log does not end where the sandbox is".to_owned());
    }
    check_manifests(world, &mut problems);
    check_journals(world, &made, &others, &mut problems);
    check_end(world, ended, &mut problems);
    for run in &world.runs {
        if run.lingered.is_some_and(|span| span > Duration::from_secs(5)) {
            problems.push(format!("{:?} passed from the interrupt to the end", run.lingered));
        }
    }
    problems
}

/// What a read of a tag has shown.
struct Reading {
    number: u64,
    at: Timestamp,
    digest: Option<Digest>,
}

struct Replay<'a> {
    world: &'a World,
    tags: BTreeMap<Place, Digest>,
    /// What each read of a tag has shown.
    readings: BTreeMap<Place, Vec<Reading>>,
    /// The tags that an image had when it was last described.
    descriptions: BTreeMap<(RepositoryName, Digest), BTreeSet<Tag>>,
    /// What we wrote, as long as nobody else has written the tag since.
    ours: BTreeMap<Place, Digest>,
    /// Tags that somebody else wrote.
    others: BTreeSet<Place>,
    /// The changes that took effect.
    made: BTreeSet<(Place, Option<Digest>)>,
    /// Our calls that were answered with "already exists".
    found: Vec<(Call, Place)>,
    problems: Vec<String>,
}

impl<'a> Replay<'a> {
    fn take(&mut self, call: &Call) {
        let Some(name) = &call.repository else { return };
        let is_answered = call.status == Some(200);
        match call.operation.as_str() {
            "BatchGetImage" if is_answered => {
                for tag in &call.tags {
                    let place = (name.clone(), tag.parse().unwrap());
                    let reading = Reading {
                        number: call.number,
                        at: call.at,
                        digest: self.tags.get(&place).copied(),
                    };
                    self.readings.entry(place).or_default().push(reading);
                }
            }
            "DescribeImages" if is_answered => {
                for digest in &call.digests {
                    let digest: Digest = digest.parse().unwrap();
                    let tags = self.tags_on(name, digest);
                    self.descriptions.insert((name.clone(), digest), tags);
                }
            }
            "PutImage" if call.code.as_deref() == Some("ImageDigestDoesNotMatchException") => {
                self.problems.push(format!(
                    "call {}: a manifest was sent that is another",
                    call.number
                ));
            }
            "PutImage"
                if call.code.as_deref() == Some("ImageAlreadyExistsException") && !call.is_other_writer =>
            {
                let [tag] = call.tags.as_slice() else { return };
                self.found
                    .push((call.clone(), (name.clone(), tag.parse().unwrap())));
            }
            "PutImage" if call.took_effect => {
                let [tag] = call.tags.as_slice() else { return };
                let [digest] = call.digests.as_slice() else { return };
                let place = (name.clone(), tag.parse().unwrap());
                self.put(call, place, digest.parse().unwrap());
            }
            "BatchDeleteImage" if call.took_effect => {
                for tag in &call.tags {
                    self.delete(call, &(name.clone(), tag.parse().unwrap()));
                }
            }
            _ => {}
        }
    }

    fn put(&mut self, call: &Call, place: Place, digest: Digest) {
        if call.is_other_writer {
            self.others.insert(place.clone());
            self.ours.remove(&place);
        } else {
            if self.ours.insert(place.clone(), digest) == Some(digest) {
                self.broken(
                    call,
                    &place,
                    "is written twice, and nobody else wrote it in between",
                );
            }
            match self.change(call, &place) {
                Some(change) if change.action.after() == Some(digest) => {
                    if !self.was_read(call, &place, change.action.before()) {
                        self.broken(call, &place, "was not read within a second where it should be");
                    }
                    self.check_needs(call, change);
                }
                _ => self.broken(call, &place, "is written although that was never shown"),
            }
            self.made.insert((place.clone(), Some(digest)));
        }
        self.tags.insert(place, digest);
        self.check_order(call);
    }

    fn delete(&mut self, call: &Call, place: &Place) {
        let Some(digest) = self.tags.get(place).copied() else {
            return;
        };
        if call.is_other_writer {
            self.others.insert(place.clone());
            self.ours.remove(place);
        } else {
            match self.change(call, place) {
                Some(change) if change.action.is_removal() => self.check_needs(call, change),
                _ => self.broken(call, place, "is removed although that was never shown"),
            }
            let seen = self.descriptions.get(&(place.0.clone(), digest));
            let has_another =
                seen.is_some_and(|tags| tags.iter().any(|tag| !call.tags.contains(&tag.to_string())));
            // A tag that somebody moved at the last moment takes an image with it that was never looked at.
            if !has_another && !self.others.contains(place) {
                self.broken(
                    call,
                    place,
                    "was the last tag of its image when that was looked at",
                );
            }
            self.made.insert((place.clone(), None));
        }
        self.tags.remove(place);
        self.check_order(call);
    }

    /// What a change requires is there, and earlier stages are done, unless somebody else has written there.
    fn check_needs(&mut self, call: &Call, change: &Change) {
        let repository = &change.address.repository;
        for tag in &change.requires {
            let place = (repository.clone(), tag.clone());
            if self.tags.get(&place).copied() != change.action.before() && !self.others.contains(&place) {
                self.broken(call, &place, "is required and not there");
            }
        }
        let Some(run) = self.run(call) else { return };
        for earlier in run
            .changeset
            .changes
            .iter()
            .filter(|earlier| earlier.stage < change.stage)
        {
            let place = place_of(earlier);
            let is_there = self.tags.get(&place).copied() == earlier.action.after();
            if !is_there && !self.others.contains(&place) {
                self.broken(call, &place, "is of an earlier stage and not done");
            }
        }
    }

    /// What ECR said exists already was read before it was believed, and is no failure.
    fn check_found(&mut self) {
        for (call, place) in std::mem::take(&mut self.found) {
            let Some(run) = self.run(&call) else { continue };
            let Some(outcome) = &run.outcome else { continue };
            let mut results = run.changeset.changes.iter().zip(&outcome.results);
            let Some((change, result)) = results.find(|(change, _)| place_of(change) == place) else {
                continue;
            };
            let after = change.action.after();
            let is_proved = self
                .readings
                .get(&place)
                .into_iter()
                .flatten()
                .any(|reading| reading.number > call.number && reading.digest == after);
            // The answer of a slow call may have come when nobody waited for it any more, and another call have worked.
            let is_ours = self.made.contains(&(place.clone(), after));
            if result.is_success() && !is_proved && !is_ours {
                self.broken(&call, &place, "counts as done, and nobody has seen it there");
            }
            let code = "ImageAlreadyExistsException";
            if matches!(result, ChangeResult::Failed(failure) if failure.code.as_deref() == Some(code)) {
                self.broken(&call, &place, "counts as failed because it is there already");
            }
        }
    }

    /// In calm runs no image is without a tag on the way that has one before and afterwards, if an order allows it.
    fn check_order(&mut self, call: &Call) {
        if !self.world.is_calm {
            return;
        }
        let Some(run) = self.run(call) else { return };
        let images = |tags: &BTreeMap<Place, Digest>| -> BTreeSet<(RepositoryName, Digest)> {
            tags.iter()
                .map(|((name, _), digest)| (name.clone(), *digest))
                .collect()
        };
        let after = images(&planned(&run.tags_before, &run.changeset.changes));
        let now = images(&self.tags);
        for (name, digest) in images(&run.tags_before) {
            let is_bare = !now.contains(&(name.clone(), digest)) && after.contains(&(name.clone(), digest));
            if is_bare && spares_all(&run.tags_before, &run.changeset.changes, &name) {
                self.problems.push(format!(
                    "after call {} {name}@sha256:{} has no tag, and an order exists that avoids it",
                    call.number,
                    digest.short()
                ));
            }
        }
    }

    fn was_read(&self, call: &Call, place: &Place, before: Option<Digest>) -> bool {
        self.readings.get(place).into_iter().flatten().any(|reading| {
            reading.digest == before
                && reading.at <= call.at
                && call.at.duration_since(reading.at) <= READING_AGE_MAX
        })
    }

    fn tags_on(&self, name: &RepositoryName, digest: Digest) -> BTreeSet<Tag> {
        let on = self
            .tags
            .iter()
            .filter(|((repository, _), on)| repository == name && **on == digest);
        on.map(|((_, tag), _)| tag.clone()).collect()
    }

    /// The run that sent a call: the last that had begun.
    fn run(&self, call: &Call) -> Option<&'a Run> {
        self.world.runs.iter().rev().find(|run| run.began_at <= call.at)
    }

    /// What the run that sent a call had shown of this tag.
    fn change(&self, call: &Call, (name, tag): &Place) -> Option<&'a Change> {
        let mut changes = self.run(call)?.changeset.changes.iter();
        changes.find(|change| change.address.repository == *name && change.address.tag == *tag)
    }

    fn broken(&mut self, call: &Call, place: &Place, what: &str) {
        let (name, tag) = place;
        self.problems.push(format!(
            "call {} ({}): {name}:{tag} {what}",
            call.number, call.operation
        ));
    }
}

fn place_of(change: &Change) -> Place {
    (change.address.repository.clone(), change.address.tag.clone())
}

/// Where the tags are once these changes are made.
fn planned<'a>(
    before: &BTreeMap<Place, Digest>,
    changes: impl IntoIterator<Item = &'a Change>,
) -> BTreeMap<Place, Digest> {
    let mut tags = before.clone();
    for change in changes {
        let place = place_of(change);
        match change.action.after() {
            Some(after) => tags.insert(place, after),
            None => tags.remove(&place),
        };
    }
    tags
}

/// Whether the changes of a repository can be made one by one so that no image is without a tag on the way.
///
/// Only few changes are tried in every order; of many, none is taken to be right.
fn spares_all(before: &BTreeMap<Place, Digest>, changes: &[Change], name: &RepositoryName) -> bool {
    const TRIED_MAX: usize = 6;
    fn search(tags: &BTreeMap<&Tag, Digest>, left: &[&Change], kept: &BTreeSet<Digest>) -> bool {
        if left.is_empty() {
            return true;
        }
        let rank = |change: &Change| (change.stage, change.action.is_removal());
        let first = left.iter().map(|change| rank(change)).min();
        left.iter().enumerate().any(|(at, next)| {
            let waits = next
                .requires
                .iter()
                .any(|tag| left.iter().any(|change| change.address.tag == *tag));
            if waits || Some(rank(next)) != first {
                return false;
            }
            let mut tags = tags.clone();
            match next.action.after() {
                Some(after) => tags.insert(&next.address.tag, after),
                None => tags.remove(&next.address.tag),
            };
            let images: BTreeSet<Digest> = tags.values().copied().collect();
            let mut rest = left.to_vec();
            rest.remove(at);
            images.is_superset(kept) && search(&tags, &rest, kept)
        })
    }
    let in_repository: Vec<&Change> = changes
        .iter()
        .filter(|change| change.address.repository == *name)
        .collect();
    let after = planned(before, in_repository.iter().copied());
    let here = |tags: &BTreeMap<Place, Digest>| -> BTreeSet<Digest> {
        let tags = tags.iter().filter(|((repository, _), _)| repository == name);
        tags.map(|(_, digest)| *digest).collect()
    };
    let kept: BTreeSet<Digest> = here(before).intersection(&here(&after)).copied().collect();
    let tags = before.iter().filter(|((repository, _), _)| repository == name);
    let tags = tags.map(|((_, tag), digest)| (tag, *digest)).collect();
    in_repository.len() <= TRIED_MAX && search(&tags, &in_repository, &kept)
}

/// No byte of a manifest has changed, and no image has come from anywhere.
fn check_manifests(world: &World, problems: &mut Vec<String>) {
    for (key, manifest) in world.sandbox.with_state(manifests_of) {
        let (name, digest) = &key;
        if world.manifests_before.get(&key) != Some(&manifest) || Digest::of(manifest.as_bytes()) != *digest {
            problems.push(format!("{name}@{digest} is not the image that was there"));
        }
    }
}

/// Every journal can be read, and tells of exactly what took effect.
///
/// Of a tag that somebody else wrote too, nobody can say whose write it was.
fn check_journals(
    world: &World,
    made: &BTreeSet<(Place, Option<Digest>)>,
    others: &BTreeSet<Place>,
    problems: &mut Vec<String>,
) {
    let mut known = BTreeSet::new();
    for run in &world.runs {
        let record = match Record::parse(&std::fs::read(&run.journal).unwrap()) {
            Ok(record) => record,
            Err(error) => {
                problems.push(format!("{}: {error}", run.journal.display()));
                continue;
            }
        };
        for (change, fate) in record.changeset.changes.iter().zip(&record.fates) {
            let place = place_of(change);
            let key = (place, change.action.after());
            if *fate == Fate::Done && !made.contains(&key) && !others.contains(&key.0) {
                problems.push(format!("the journal says that {key:?} was done, and it was not"));
            }
            if *fate != Fate::Untouched {
                known.insert(key);
            }
        }
    }
    for key in made.difference(&known) {
        problems.push(format!("{key:?} was done, and no journal tells of it"));
    }
}

/// Without anybody else, everything is in its place, and there is nothing left to do.
fn check_end(world: &World, ended: Ended, problems: &mut Vec<String>) {
    match ended {
        Ended::PlanRefused | Ended::Moot | Ended::Disturbed => return,
        Ended::TakenBack => return check_way_back(world, problems),
        Ended::Incomplete => problems.push("the last run did not succeed".to_owned()),
        Ended::Complete => {}
    }
    let Some(first) = world.runs.first() else { return };
    let expected = planned(&world.tags_before, &first.changeset.changes);
    let actual = world.sandbox.with_state(tags_of);
    let places: BTreeSet<&Place> = expected.keys().chain(actual.keys()).collect();
    for place in places {
        let (expected, actual) = (expected.get(place), actual.get(place));
        if expected != actual {
            problems.push(format!(
                "{place:?} should be on {expected:?} and is on {actual:?}"
            ));
        }
    }
    if !world.is_relative && world.left != Some(0) {
        problems.push(format!("there is still something to do: {:?}", world.left));
    }
}

/// Without anybody else, what the journal tells of is back where it was, and nothing else has moved.
fn check_way_back(world: &World, problems: &mut Vec<String>) {
    let Some(way_back) = &world.way_back else { return };
    let record = Record::parse(&std::fs::read(&way_back.journal).unwrap()).unwrap();
    let now = world.sandbox.with_state(tags_of);
    let mut expected = way_back.tags_before.clone();
    for (change, fate) in record.changeset.changes.iter().zip(&record.fates) {
        let place = place_of(change);
        let is_made = match fate {
            Fate::Untouched => false,
            Fate::Open => expected.get(&place).copied() == change.action.after(),
            Fate::Done => true,
        };
        if is_made && !way_back.left.contains(&place) {
            match change.action.before() {
                Some(before) => expected.insert(place, before),
                None => expected.remove(&place),
            };
        }
    }
    let places: BTreeSet<&Place> = expected.keys().chain(now.keys()).collect();
    for place in places {
        let (expected, now) = (expected.get(place), now.get(place));
        if expected != now {
            problems.push(format!(
                "{place:?} should be back on {expected:?} and is on {now:?}"
            ));
        }
    }
}
