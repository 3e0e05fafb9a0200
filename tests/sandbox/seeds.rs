//! Seeds: the built-in one, YAML, tag histories.

use std::collections::BTreeSet;

use ecr_retag::model::{Digest, Mutability};
use ecr_retag::sandbox::seed::{self, HistoryOptions, Kind, make};
use ecr_retag::sandbox::state::{MediaType, State};

use crate::support::*;

#[test]
fn every_kind_is_what_it_says() {
    for kind in Kind::ALL {
        let made = make(kind, "shop/api", "1.0.0");
        assert_eq!(made, make(kind, "shop/api", "1.0.0"));
        assert_ne!(made.digest(), make(kind, "shop/api", "1.0.1").digest());
        assert_ne!(
            made.digest(),
            make(kind, "shop/web", "1.0.0").digest(),
            "{kind:?}"
        );
        let manifest: serde_json::Value = serde_json::from_str(&made.manifest).unwrap();
        let is_bare = matches!(kind, Kind::Bare | Kind::Chart);
        assert_eq!(manifest.get("mediaType").is_none(), is_bare, "{kind:?}");
        assert_eq!(made.manifest.ends_with('\n'), kind == Kind::Pretty);
        assert_eq!(manifest.get("subject").is_some(), kind == Kind::Artifact);
        assert_eq!(made.media_type.is_index(), manifest.get("manifests").is_some());
    }
    let index = make(Kind::OciIndex, "shop/api", "1.0.0");
    assert_eq!(index.before.len(), 4);
    assert_eq!(index.manifest.matches("\"unknown\"").count(), 4);
}

#[test]
fn the_built_in_seed_tells_its_stories() {
    let seed = seed::parse(include_str!("../../src/sandbox/seed/builtin.yaml")).unwrap();
    let mut state = State::new();
    seed::plant(&seed, &owner(), &mut state).unwrap();
    assert_eq!(
        serde_json::to_string(&state.to_snapshot(0)).unwrap(),
        serde_json::to_string(&seed::builtin().to_snapshot(0)).unwrap()
    );
    let names: Vec<_> = state
        .repositories(&owner())
        .map(|(name, _)| name.clone())
        .collect();
    assert!(names.len() >= 15, "{names:?}");
    for name in names.iter().filter(|name| name.as_str().starts_with("shop/")) {
        let tags = state.tags(&owner(), name);
        if name.as_str().starts_with("shop/legacy-") {
            assert!(!tags.contains_key("1.8.0-rc.3"));
            continue;
        }
        assert_eq!(tags["stable"], tags["1.7.3"]);
        assert_eq!(tags["latest"], tags["1.7.3"]);
        assert_eq!(tags["1.7"], tags["1.7.3"]);
        assert_ne!(tags["1.8.0-rc.3"], tags["1.7.3"]);
        assert!(!tags.contains_key("1.8.0") && !tags.contains_key("previous"));
    }
    for pair in ["web/storefront", "web/checkout"] {
        let tags = state.tags(&owner(), &name(pair));
        assert_ne!(tags["blue"], tags["green"]);
    }
    let mutabilities: BTreeSet<String> = state
        .repositories(&owner())
        .map(|(_, repository)| match &repository.mutability {
            Mutability::Mutable => "mutable".to_owned(),
            Mutability::Immutable => "immutable".to_owned(),
            other => format!("{other:?}").split('(').next().unwrap().to_owned(),
        })
        .collect();
    assert_eq!(mutabilities.len(), 4);
    let builds = state.tags(&owner(), &name("ci/gateway"));
    assert_eq!(
        builds
            .keys()
            .filter(|tag| tag.as_str().starts_with("build-"))
            .count(),
        320
    );
}

#[test]
fn the_built_in_seed_is_plausible() {
    let state = seed::builtin();
    let begin: jiff::Timestamp = "2023-01-01T00:00:00Z".parse().unwrap();
    let mut media_types = BTreeSet::new();
    for (name, repository) in state.repositories(&owner()) {
        let tag_count = repository.tags().count();
        assert!((12..=500).contains(&tag_count), "{name} has {tag_count} tags");
        for image in repository.images() {
            assert_eq!(image.digest, Digest::of(image.manifest.as_bytes()));
            assert!(
                image.pushed_at > begin && image.pushed_at < now(),
                "{name} {}",
                image.pushed_at
            );
            assert!(image.size_bytes > 0);
            media_types.insert(image.media_type);
        }
        let times: Vec<_> = repository.images().map(|image| image.pushed_at).collect();
        assert!(times.is_sorted(), "{name}");
    }
    assert_eq!(media_types.len(), 4);
}

#[test]
fn later_pushes_take_the_floating_tags() {
    let state = planted(
        "
repositories:
  - names: [shop/api]
    histories:
      - scheme:
          versions: { prefix: v, ranges: [1.9.0..1.9.1, 1.10.0-rc.1, 1.10.0], floating: [major, minor], suffixes: ['', -alpine] }
        also: [latest]
",
    );
    let tags = tags(&state);
    assert_eq!(tags.len(), 4 * 2 + 2 * 3 + 2, "{:?}", tags.keys());
    for (floating, version) in [
        ("v1", "v1.10.0"),
        ("v1.9", "v1.9.1"),
        ("v1.10", "v1.10.0"),
        ("latest", "v1.10.0"),
        ("v1-alpine", "v1.10.0-alpine"),
        ("latest-alpine", "v1.10.0-alpine"),
    ] {
        assert_eq!(tags[floating], tags[version], "{floating}");
    }
    assert_ne!(tags["v1.10.0"], tags["v1.10.0-alpine"]);
    assert_ne!(tags["v1.10.0-rc.1"], tags["v1.10.0"]);
}

#[test]
fn explicit_images_and_tags() {
    let state = planted(
        "
repositories:
  - names: [shop/api]
    image: bare
    images:
      - { name: lonely, image: pretty, pushed_at: 2025-06-07T08:09:10Z }
      - { name: old, tags: [1.10, no] }
    tags: { stable: old, canary: '1.10', first: lonely, 007: brand-new, 2024-01-01: brand-new }
",
    );
    let tags = tags(&state);
    let names: Vec<&str> = tags.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        ["007", "1.10", "2024-01-01", "canary", "first", "no", "stable"]
    );
    for (one, other) in [("stable", "1.10"), ("canary", "no"), ("007", "2024-01-01")] {
        assert_eq!(tags[one], tags[other]);
    }
    assert_eq!(
        tagged(&state, "first").pushed_at.to_string(),
        "2025-06-07T08:09:10Z"
    );
    assert_eq!(repository(&state, "shop/api").image_count(), 3);
}

#[test]
fn the_documented_seed_is_one() {
    let state = planted(&documented(include_str!("../../src/sandbox/seed.rs")));
    let tags = tags(&state);
    assert_eq!(tags["stable"], tags["v1.0.4"]);
    assert_eq!(tags["v1"], tags["latest"]);
    assert!(tags.contains_key("hotfix-1"));
}

#[test]
fn seeds_with_mistakes_are_refused() {
    for bad in [
        "repositories: [{ names: [Shop] }]",
        "repositories: [{ names: [shop/api], mutability: sometimes }]",
        "repositories: [{ names: [shop/api], mutability: immutable, exclusion_filters: [x] }]",
        "repositories: [{ names: [shop/api], mutability: immutable-with-exclusion }]",
        "repositories: [{ names: [shop/api], tags: { 'a/b': x } }]",
        "repositories: [{ names: [shop/api], histories: [{ scheme: { versions: { ranges: [1.0..2.1] } } }] }]",
        "repositories: [{ names: [shop/api], histories: [{ scheme: { numbered: { name: 'a b', count: 1 } } }] }]",
        "repositories: [{ names: [shop/api], extra: 1 }]",
        "{}",
    ] {
        let planted = seed::parse(bad).and_then(|seed| seed::plant(&seed, &owner(), &mut State::new()));
        assert!(planted.is_err(), "{bad}");
    }
}

#[test]
fn a_tag_history_becomes_a_repository() {
    let history = "# tag\tcommit\tdate\n\
        1.0.0\taaa\t2024-01-01T00:00:00Z\n\
        latest\tbbb\t2024-01-03T00:00:00Z\n\
        1.0.1\tbbb\t2024-01-02T00:00:00Z\r\n\n";
    let plant = |options: HistoryOptions| {
        let mut state = State::new();
        seed::plant_history(history, &owner(), &name("shop/api"), options, &mut state).unwrap();
        state
    };
    let state = plant(HistoryOptions::default());
    let tags_then = tags(&state);
    assert_eq!(tags_then.keys().collect::<Vec<_>>(), ["1.0.0", "1.0.1", "latest"]);
    assert_eq!(tags_then["latest"], tags_then["1.0.1"]);
    assert_eq!(tagged(&state, "latest").media_type, MediaType::DockerManifest);
    let state = plant(HistoryOptions {
        image: Kind::Oci,
        tags: false,
        commit_tags: true,
    });
    assert_eq!(tags(&state).keys().collect::<Vec<_>>(), ["src-aaa", "src-bbb"]);
    for (bad, line) in [("1.0.0\n", 1), ("1.0.0\ta\n1.0.1\ta\tyesterday\n", 2)] {
        let options = HistoryOptions::default();
        let error =
            seed::plant_history(bad, &owner(), &name("shop/api"), options, &mut State::new()).unwrap_err();
        assert!(error.to_string().starts_with(&format!("line {line} ")), "{error}");
    }
}
