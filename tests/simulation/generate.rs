//! What a seed makes of repositories, plan files and faults.

use std::fmt::Write as _;

use ecr_retag::model::Tag;
use ecr_retag::sandbox::fault::{Action, FaultRule, Match, MoveTo, Throttle, ThrottleShape, Writer};
use ecr_retag::sandbox::{FaultPlan, Quota};

use crate::support::{one_of, percent};

const REPOSITORIES: [&str; 3] = ["shop/api", "shop/web", "shop/job"];
/// Tags that rules read; no rule writes them.
const SOURCES: [&str; 7] = ["rc-1", "rc-2", "rc-3", "rc-4", "build-1", "build-2", "build-3"];
/// Tags that rules write; some rules read them too.
const TARGETS: [&str; 8] = [
    "stable", "previous", "blue", "green", "v-1", "v-2", "rel-rc-1", "rel-rc-2",
];
const KINDS: [&str; 5] = ["docker", "oci", "oci-index", "bare", "pretty"];
const OPERATIONS: [&str; 6] = [
    "PutImage",
    "PutImage",
    "BatchGetImage",
    "DescribeImages",
    "ListImages",
    "BatchDeleteImage",
];

/// A seed file: a few repositories whose images carry some of the tags that plans speak of.
pub(crate) fn repositories(rng: &mut fastrand::Rng) -> String {
    let mut yaml = "repositories:\n".to_owned();
    for name in REPOSITORIES.iter().take(rng.usize(1..=3)) {
        let images = rng.usize(2..=6);
        let mut tags_of: Vec<Vec<&str>> = vec![Vec::new(); images];
        for tag in SOURCES.iter().chain(&TARGETS) {
            if percent(rng, 60) {
                let image = rng.usize(..images);
                tags_of.get_mut(image).unwrap().push(tag);
            }
        }
        let _ = writeln!(yaml, "  - names: [{name}]");
        if percent(rng, 10) {
            let _ = writeln!(
                yaml,
                "    mutability: immutable-with-exclusion\n    exclusion_filters: [stable, previous, blue, green]"
            );
        }
        yaml.push_str("    images:\n");
        for (number, tags) in tags_of.into_iter().enumerate() {
            let _ = writeln!(
                yaml,
                "      - {{ name: i{number}, image: {}, pushed_at: 2024-01-{:02}T00:00:00Z, tags: [{}] }}",
                one_of(rng, &KINDS),
                number + 1,
                tags.join(", ")
            );
        }
    }
    yaml
}

/// A plan file of a few rules.
pub(crate) fn plan(rng: &mut fastrand::Rng) -> String {
    let mut yaml = "version: 1\nrules:\n".to_owned();
    for number in 1..=rng.usize(1..=3) {
        rules(rng, number, &mut yaml);
    }
    yaml
}

fn rules(rng: &mut fastrand::Rng, number: usize, yaml: &mut String) {
    let repositories = *one_of(rng, &["shop/*", "shop/*", "shop/api", "[shop/*, '!shop/web']"]);
    let repositories = if repositories == "shop/*" {
        "'shop/*'"
    } else {
        repositories
    };
    let stage = rng.u8(0..=1);
    let rename = percent(rng, 30);
    let mut rule = |suffix: &str, lines: &str| {
        let _ = writeln!(
            yaml,
            "  - name: rule {number}{suffix}\n    repositories: {repositories}\n    on_missing: ignore\n    stage: \
             {stage}\n{lines}"
        );
    };
    let existing = *one_of(rng, &["move", "move", "move", "keep", "fail"]);
    let source = *one_of(rng, &SOURCES);
    match rng.u8(0..8) {
        0 | 1 => {
            let mut targets = TARGETS.to_vec();
            rng.shuffle(&mut targets);
            targets.truncate(rng.usize(1..=3));
            rule(
                "",
                &format!(
                    "    from: {source}\n    to: [{}]\n    on_existing: {existing}\n    remove_source: {rename}",
                    targets.join(", ")
                ),
            );
        }
        2 => rule(
            "",
            &format!(
                "    from: {source}\n    to: stable\n    backup: {{ stable: previous }}\n    remove_source: {rename}"
            ),
        ),
        3 | 4 => rule(
            "",
            &format!(
                "    from: 'rc-*'\n    to: 'rel-${{tag}}'\n    on_existing: {existing}\n    remove_source: {rename}"
            ),
        ),
        5 => {
            rule(" there", "    from: blue\n    to: green");
            rule(" back", "    from: green\n    to: blue");
        }
        6 => {
            rule(" old", "    from: stable\n    to: previous");
            rule(" new", &format!("    from: {source}\n    to: stable"));
        }
        _ => rule(
            "",
            &format!(
                "    from: 'build-*'\n    to: [v-1, stable]\n    pick: newest\n    on_existing: {existing}"
            ),
        ),
    }
}

/// What goes wrong; another writer only if `has_writer`.
pub(crate) fn faults(rng: &mut fastrand::Rng, has_writer: bool) -> FaultPlan {
    let mut rules: Vec<FaultRule> = (0..rng.usize(1..=4)).map(|_| fault(rng)).collect();
    if has_writer {
        rules.extend((0..rng.usize(1..=3)).map(|_| writer(rng)));
        if percent(rng, 30) {
            rules.push(rival(rng));
        }
    }
    FaultPlan {
        seed: rng.u64(..),
        rules,
    }
}

fn fault(rng: &mut fastrand::Rng) -> FaultRule {
    let action = match rng.u8(0..12) {
        0..=2 => Action::Throttle(Throttle {
            shape: *one_of(rng, &ThrottleShape::ALL),
            retry_after_seconds: percent(rng, 20).then(|| rng.u64(1..30)),
            retry_after_ms: None,
        }),
        3 => Action::ServerError,
        4 => Action::Unavailable,
        5 => Action::Slow {
            ms: rng.u64(1..50_000),
            after_effect: rng.bool(),
        },
        6 => Action::DropBefore,
        7 | 8 => Action::DropAfter,
        9 => one_of(rng, &[Action::Truncate, Action::Garbage, Action::Reformat]).clone(),
        10 => Action::Quota(Quota::new("PutImage", Some(rng.f64() * 20.0 + 0.5))),
        _ => Action::Deny,
    };
    let is_final = matches!(action, Action::Deny);
    FaultRule {
        on: Match {
            operation: percent(rng, 80).then(|| (*one_of(rng, &OPERATIONS)).to_owned()),
            probability: Some(if is_final { 0.05 } else { rng.f64() * 0.8 }),
            ..Match::default()
        },
        times: Some(rng.u64(1..=if is_final { 2 } else { 20 })),
        action,
    }
}

fn writer(rng: &mut fastrand::Rng) -> FaultRule {
    let any_tag = |rng: &mut fastrand::Rng| -> Tag {
        let tags = [&SOURCES[..], &TARGETS[..]].concat();
        one_of(rng, &tags).parse().unwrap()
    };
    let move_to = match rng.u8(0..4) {
        0 => MoveTo::Gone,
        1 => MoveTo::Tag(any_tag(rng)),
        _ => MoveTo::Random,
    };
    FaultRule {
        on: Match {
            operation: percent(rng, 70).then(|| (*one_of(rng, &OPERATIONS)).to_owned()),
            probability: Some(rng.f64() * 0.5),
            ..Match::default()
        },
        times: Some(rng.u64(1..=3)),
        action: Action::Writer(Writer {
            repository: None,
            tag: percent(rng, 70).then(|| any_tag(rng)),
            move_to,
        }),
    }
}

/// Somebody who writes a tag right before we do, perhaps onto the very image that we mean.
fn rival(rng: &mut fastrand::Rng) -> FaultRule {
    let tag: Tag = one_of(rng, &TARGETS).parse().unwrap();
    FaultRule {
        on: Match {
            operation: Some("PutImage".to_owned()),
            tag: Some(tag.to_string()),
            ..Match::default()
        },
        times: Some(rng.u64(1..=3)),
        action: Action::Writer(Writer {
            repository: None,
            tag: Some(tag),
            move_to: MoveTo::Tag(one_of(rng, &SOURCES).parse().unwrap()),
        }),
    }
}
