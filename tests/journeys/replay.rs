//! Years of real tag moves, carried out day by day.
//!
//! `NGINX_REPLAY=all` replays all of them; a part of them otherwise.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;

use ecr_retag::model::{Digest, RepositoryName};
use ecr_retag::sandbox::State;
use ecr_retag::sandbox::seed::{HistoryOptions, plant_history};

use crate::support::{apply, owner, real_data, sandbox, tags};

const REPOSITORY: &str = "official/nginx";
const DAYS_BY_DEFAULT: usize = 20;

struct Move<'a> {
    tag: &'a str,
    old: &'a str,
    new: &'a str,
}

/// The moves by day, in order.
fn read(text: &str) -> BTreeMap<&str, Vec<Move<'_>>> {
    let mut days: BTreeMap<&str, Vec<Move<'_>>> = BTreeMap::new();
    for line in text.lines() {
        let [day, tag, old, new] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        days.entry(day).or_default().push(Move { tag, old, new });
    }
    days
}

/// A repository with an image for each commit, tagged `src-COMMIT`, and the tags as they were before the first move.
fn before(days: &BTreeMap<&str, Vec<Move<'_>>>) -> State {
    let mut history = String::new();
    let mut known = BTreeSet::new();
    let mut seen = BTreeSet::new();
    for moved in days.values().flatten() {
        for commit in [moved.old, moved.new] {
            if commit != "-" && known.insert(commit) {
                writeln!(history, "src-{commit}\t{commit}").unwrap();
            }
        }
        if seen.insert(moved.tag) && moved.old != "-" {
            writeln!(history, "{}\t{}", moved.tag, moved.old).unwrap();
        }
    }
    let mut state = State::new();
    let name: RepositoryName = REPOSITORY.parse().unwrap();
    plant_history(&history, &owner(), &name, HistoryOptions::default(), &mut state).unwrap();
    state
}

/// A plan of exact rules: for each new commit of the day the tags that go there, each expected where it was.
fn plan_of(moves: &[Move<'_>]) -> String {
    let mut by_commit: BTreeMap<&str, Vec<&Move<'_>>> = BTreeMap::new();
    for moved in moves {
        by_commit.entry(moved.new).or_default().push(moved);
    }
    let mut yaml = "version: 1\nrules:\n".to_owned();
    for (commit, moves) in by_commit {
        let targets: Vec<&str> = moves.iter().map(|moved| moved.tag).collect();
        writeln!(
            yaml,
            "- name: to {commit}\n  repositories: {REPOSITORY}\n  from: src-{commit}"
        )
        .unwrap();
        writeln!(yaml, "  to: [{}]\n  expect:", targets.join(", ")).unwrap();
        for Move { tag, old, .. } in moves {
            let place = if *old == "-" {
                "absent".to_owned()
            } else {
                format!("src-{old}")
            };
            writeln!(yaml, "    {tag}: {place}").unwrap();
        }
    }
    yaml
}

#[tokio::test]
async fn the_tags_are_where_the_history_says_after_every_day() {
    let Some(folder) = real_data() else { return };
    let text = fs::read_to_string(folder.join("tags/moves/official-nginx.moves.tsv")).unwrap();
    let days = read(&text);
    #[expect(
        clippy::disallowed_methods,
        reason = "whoever runs the test says how much of it"
    )]
    let count = if std::env::var("NGINX_REPLAY").is_ok_and(|v| v == "all") {
        days.len()
    } else {
        DAYS_BY_DEFAULT
    };
    let sandbox = sandbox(before(&days));
    let image_of = |commit: &str| -> Digest { tags(&sandbox, REPOSITORY)[&*format!("src-{commit}")] };
    let mut expected = tags(&sandbox, REPOSITORY);
    let mut changes = 0;
    for (day, moves) in days.iter().take(count) {
        let (changeset, _) = apply(&sandbox, &plan_of(moves)).await;
        changes += changeset.changes.len();
        for moved in moves {
            expected.insert(moved.tag.parse().unwrap(), image_of(moved.new));
        }
        assert_eq!(tags(&sandbox, REPOSITORY), expected, "after {day}");
    }
    let moved: usize = days.values().take(count).map(Vec::len).sum();
    assert_eq!(changes, moved, "each move of the history is one change");
    eprintln!("{count} days, {changes} moves");
}
