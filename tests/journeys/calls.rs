//! As few calls as the rules allow.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use ecr_retag::changeset::Scope;
use ecr_retag::sandbox::{Sandbox, State, seed};

use crate::support::{apply, checked, owner, planned, planned_for, registries, sandbox};

/// Repositories `r/0`, `r/1`, … with tags `t0`, `t1`, …, each on an image of its own.
fn world(repositories: usize, tags: usize) -> Sandbox {
    let mut yaml = "repositories:\n".to_owned();
    for repository in 0..repositories {
        writeln!(yaml, "- names: [r/{repository}]\n  images:").unwrap();
        for tag in 0..tags {
            writeln!(
                yaml,
                "  - {{ name: i{tag}, pushed_at: 2026-01-01T00:00:00Z, tags: [t{tag}] }}"
            )
            .unwrap();
        }
    }
    let mut state = State::new();
    seed::plant(&seed::parse(&yaml).unwrap(), &owner(), &mut state).unwrap();
    sandbox(state)
}

/// The calls made since the beginning.
fn calls(sandbox: &Sandbox) -> BTreeMap<String, u64> {
    sandbox
        .tallies()
        .into_iter()
        .map(|(operation, tally)| (operation, tally.calls))
        .collect()
}

fn counts(expected: &[(&str, u64)]) -> BTreeMap<String, u64> {
    expected
        .iter()
        .map(|(operation, count)| ((*operation).to_owned(), *count))
        .collect()
}

async fn calls_of_plan(sandbox: &Sandbox, yaml: &str) -> BTreeMap<String, u64> {
    let plan = checked(yaml);
    let registries = registries(sandbox, &plan).await;
    planned(&plan, &registries).await;
    calls(sandbox)
}

async fn calls_of_apply(sandbox: &Sandbox, yaml: &str) -> BTreeMap<String, u64> {
    apply(sandbox, yaml).await;
    calls(sandbox)
}

#[tokio::test]
async fn exact_rules_read_tags_by_name() {
    let sandbox = world(3, 5);
    let yaml = "version: 1\nrules:\n- { name: a, repositories: [r/0, r/1, r/2], from: t0, to: new }\n";
    let expected = counts(&[("DescribeRepositories", 1), ("BatchGetImage", 3)]);
    assert_eq!(calls_of_plan(&sandbox, yaml).await, expected);
}

#[tokio::test]
async fn exact_rules_ask_for_other_tags_only_of_images_that_lose_one() {
    let sandbox = world(2, 5);
    let yaml = "version: 1\nrules:\n- { name: a, repositories: [r/0, r/1], from: t0, to: t1 }\n";
    let expected = counts(&[
        ("DescribeRepositories", 1),
        ("BatchGetImage", 2),
        ("DescribeImages", 2),
    ]);
    assert_eq!(calls_of_plan(&sandbox, yaml).await, expected);
}

#[tokio::test]
async fn two_hundred_exact_tags_are_two_calls() {
    let sandbox = world(1, 150);
    let mut yaml = "version: 1\nrules:\n- name: a\n  repositories: r/0\n  map:\n".to_owned();
    for tag in 0..100 {
        writeln!(yaml, "    t{tag}: n{tag}").unwrap();
    }
    let expected = counts(&[("DescribeRepositories", 1), ("BatchGetImage", 2)]);
    assert_eq!(calls_of_plan(&sandbox, &yaml).await, expected);
}

#[tokio::test]
async fn patterns_read_pages_of_a_thousand() {
    let sandbox = world(1, 2_500);
    let yaml = "version: 1\nrules:\n- { name: a, repositories: 'r/*', from: 't1*', to: 'n-${tag}' }\n";
    let expected = counts(&[("DescribeRepositories", 1), ("ListImages", 3)]);
    assert_eq!(calls_of_plan(&sandbox, yaml).await, expected);
}

#[tokio::test]
async fn push_times_are_read_only_when_they_are_asked_for() {
    let sandbox = world(2, 3);
    let yaml = "version: 1\nrules:\n- { name: a, repositories: 'r/*', from: 't0', to: new }\n\
                - { name: b, repositories: r/1, from: { glob: 't*', pushed_after: 2020-01-01T00:00:00Z }, \
                to: 'n-${tag}' }\n";
    let made = calls_of_plan(&sandbox, yaml).await;
    assert_eq!(made.get("DescribeImages"), Some(&1), "{made:?}");
}

#[tokio::test]
async fn an_apply_reads_manifests_and_tags_in_batches() {
    let sandbox = world(1, 100);
    let yaml = "version: 1\nrules:\n- { name: a, repositories: r/0, from: 't*', to: 'n-${tag}' }\n";
    // The manifests, the tags before they are written, the tags read back.
    let expected = counts(&[
        ("DescribeRepositories", 1),
        ("ListImages", 1),
        ("BatchGetImage", 3),
        ("PutImage", 100),
    ]);
    assert_eq!(calls_of_apply(&sandbox, yaml).await, expected);
}

#[tokio::test]
async fn an_apply_in_small_repositories_reads_manifests_and_tags_at_once() {
    let sandbox = world(10, 5);
    let yaml = "version: 1\nrules:\n- { name: a, repositories: 'r/*', from: 't*', to: 'n-${tag}' }\n";
    // In each repository: what is needed for the writes, and the tags read back.
    let expected = counts(&[
        ("DescribeRepositories", 1),
        ("ListImages", 10),
        ("BatchGetImage", 20),
        ("PutImage", 50),
    ]);
    assert_eq!(calls_of_apply(&sandbox, yaml).await, expected);
}

#[tokio::test]
async fn what_is_right_already_costs_no_call_beyond_reading() {
    let sandbox = world(2, 10);
    let yaml = "version: 1\nrules:\n- { name: a, repositories: 'r/*', from: 't*', to: '${tag}' }\n";
    assert_eq!(
        calls_of_apply(&sandbox, yaml).await,
        counts(&[("DescribeRepositories", 1), ("ListImages", 2)])
    );
}

#[tokio::test]
async fn what_is_not_in_scope_is_not_read() {
    let targeted = Scope::new(&["r/1:*".to_owned()], &[], false).unwrap();
    let excluding = Scope::new(&[], &["r/0:*".to_owned(), "r/2:*".to_owned()], false).unwrap();
    for scope in [targeted, excluding] {
        for (repositories, from, read) in [
            ("'r/*'", "'t*'", "ListImages"),
            ("[r/0, r/1, r/2]", "t0", "BatchGetImage"),
        ] {
            let sandbox = world(3, 5);
            let plan = checked(&format!(
                "version: 1\nrules:\n- {{ name: a, repositories: {repositories}, from: {from}, to: 'n-${{tag}}' }}\n"
            ));
            let registries = registries(&sandbox, &plan).await;
            let changeset = planned_for(&scope, &plan, &registries).await;
            assert!(!changeset.changes.is_empty());
            assert_eq!(calls(&sandbox), counts(&[("DescribeRepositories", 1), (read, 1)]));
        }
    }
}

#[tokio::test]
async fn what_is_not_in_scope_is_not_missed() {
    let scope = Scope::new(&["r/0:*".to_owned()], &[], false).unwrap();
    let sandbox = world(1, 1);
    let plan = checked(
        "version: 1\nrules:\n- { name: a, repositories: [r/0, gone], from: t0, to: new }\n\
         - { name: b, repositories: 'gone/*', from: t0, to: new }\n",
    );
    let registries = registries(&sandbox, &plan).await;
    let changeset = planned_for(&scope, &plan, &registries).await;
    assert_eq!(changeset.changes.len(), 1);
    assert_eq!(changeset.diagnostics, []);
}
