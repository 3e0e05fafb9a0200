//! Rules on real tag histories, against a simple computation of the same.
//!
//! The histories are not part of this repository: `ECR_RETAG_DATA` names the folder, in which `tags/*.tsv` hold
//! `tag TAB commit TAB date`. Without it the tests are skipped, and say so. An image stands for each commit.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::{env, fs};

use ecr_retag::inventory::Inventory;
use ecr_retag::model::Digest;
use ecr_retag::plan::rank::{self, Rank};
use ecr_retag::plan::{Candidate, Pick};
use jiff::Timestamp;
use regex::Regex;
use semver::Version;

use crate::support::plan;

const NOW: Timestamp = Timestamp::constant(1_750_000_000, 0);

/// A tag, its commit, and the date of the commit.
type Event = (String, String, Timestamp);

fn folder() -> Option<PathBuf> {
    let folder = env::var_os("ECR_RETAG_DATA").map(PathBuf::from);
    if folder.is_none() {
        eprintln!("skipped: ECR_RETAG_DATA names no folder with real tag histories");
    }
    folder
}

fn history(folder: &std::path::Path, project: &str) -> Vec<Event> {
    let text = fs::read_to_string(folder.join(format!("tags/{project}.tsv"))).unwrap();
    let rows = text.lines().map(|line| {
        let mut columns = line.split('\t').map(str::to_owned);
        let mut column = || columns.next().unwrap();
        (column(), column(), column().parse().unwrap())
    });
    rows.collect()
}

fn inventory(history: &[Event]) -> Inventory {
    let mut inventory = Inventory::empty("real/project".parse().unwrap());
    for (tag, commit, date) in history {
        let digest = Digest::of(commit.as_bytes());
        inventory.tags.insert(tag.parse().unwrap(), digest);
        let image = inventory.images.entry(digest).or_default();
        image.pushed_at = image.pushed_at.max(Some(*date));
    }
    inventory
}

fn candidates(keys: &str, inventory: &Inventory) -> Vec<Candidate> {
    let plan = plan(&[&format!(
        "version: 1\nvars: {{ suffix: final }}\nrules: [{{ name: r, repositories: real/*, {keys} }}, \
         {{ name: s, repositories: ab, from: a, to: '${{suffix}}' }}]\n"
    )]);
    let selection = plan.rules[0].select(&inventory.repository, inventory, NOW);
    assert_eq!(selection.problems, [], "{keys}");
    selection.candidates
}

/// What a tag becomes by a computation that is as simple as can be.
type Simple = fn(&str) -> Option<String>;

/// The text after a prefix if it is a version of three numbers without more.
fn release(text: &str) -> Option<[&str; 3]> {
    let numbers: Vec<&str> = text.split('.').collect();
    let is_number = |number: &&str| {
        !number.is_empty()
            && number.bytes().all(|b| b.is_ascii_digit())
            && (*number == "0" || !number.starts_with('0'))
    };
    let all = numbers.iter().all(is_number);
    <[&str; 3]>::try_from(numbers).ok().filter(|_| all)
}

/// A text that a regular expression matches from end to end, put together anew from its groups.
fn rewritten(pattern: &'static str, text: &str, with: &str) -> Option<String> {
    thread_local! {
        static COMPILED: RefCell<BTreeMap<&'static str, Regex>> = RefCell::default();
    }
    let compile = || Regex::new(&format!("^{pattern}$")).unwrap();
    let regex = COMPILED.with_borrow_mut(|compiled| compiled.entry(pattern).or_insert_with(compile).clone());
    regex
        .is_match(text)
        .then(|| regex.replace(text, with).into_owned())
}

/// Project, rule, and the same computed simply.
const MIGRATIONS: &[(&str, &str, Simple)] = &[
    (
        "argo-cd",
        "from: {semver: '*', prefix: v}, to: '${semver}'",
        |tag| release(tag.strip_prefix('v')?).map(|numbers| numbers.join(".")),
    ),
    (
        "argo-workflows",
        "from: [{semver: '*', prefix: v}, {semver: '*'}], to: '${minor}.${major}-${suffix}'",
        |tag| {
            release(tag.strip_prefix('v').unwrap_or(tag))
                .map(|[major, minor, _]| format!("{minor}.{major}-final"))
        },
    ),
    (
        "containerd",
        "from: {glob: 'v1.*', exclude: ['*-rc*', '*-beta*']}, to: '${tag | replace(\"v\", \"containerd-\")}'",
        |tag| {
            let is_taken = tag.starts_with("v1.") && !tag.contains("-rc") && !tag.contains("-beta");
            is_taken.then(|| tag.replace('v', "containerd-"))
        },
    ),
    (
        "dotnet-sdk",
        "from: {regex: '(\\d+\\.\\d+\\.\\d+)-(?<system>[a-z].*)'}, to: '${system}-${1}'",
        |tag| {
            let (version, system) = tag.split_once('-')?;
            let is_version = version.split('.').count() == 3
                && version
                    .split('.')
                    .all(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
            (is_version && system.starts_with(|c: char| c.is_ascii_lowercase()))
                .then(|| format!("{system}-{version}"))
        },
    ),
    (
        "etcd",
        "from: {semver: '>=3, <3.5', prefix: v}, to: 'legacy-${semver}'",
        |tag| {
            let [major, minor, patch] = release(tag.strip_prefix('v')?)?;
            (major == "3" && minor.parse::<u32>().unwrap() < 5)
                .then(|| format!("legacy-{major}.{minor}.{patch}"))
        },
    ),
    (
        "jenkins",
        "from: {semver: '*', lenient: true}, to: 'jenkins-${major}.${minor}'",
        |tag| {
            let full = if tag.split('.').count() == 2 {
                format!("{tag}.0")
            } else {
                tag.to_owned()
            };
            release(&full).map(|[major, minor, _]| format!("jenkins-{major}.{minor}"))
        },
    ),
    (
        "knative-serving",
        "from: {regex: '(?:knative-)?v(?<version>.*)'}, to: '${version}'",
        |tag| {
            tag.strip_prefix("knative-")
                .unwrap_or(tag)
                .strip_prefix('v')
                .map(str::to_owned)
        },
    ),
    (
        "kubernetes-autoscaler",
        "from: {regex: '(?<component>[a-z-]+)-v?(?<version>\\d.*)'}, to: '${version}_${component}'",
        |tag| {
            let at = tag.find(|c: char| c.is_ascii_digit())?;
            let (component, version) = tag.split_at(at);
            let component = component
                .strip_suffix("-v")
                .or_else(|| component.strip_suffix('-'))?;
            Some(format!("{version}_{component}"))
        },
    ),
    (
        "linuxserver-plex",
        "from: {regex: '(?<version>.*)-(?<commit>[0-9a-f]{9})-ls(?<build>\\d+)'}, to: ['plex-${version}', 'build-${build}']",
        |tag| {
            let mut parts = tag.rsplitn(3, '-');
            let (build, commit, version) = (parts.next()?.strip_prefix("ls")?, parts.next()?, parts.next()?);
            let is_hex = commit.len() == 9 && commit.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
            let is_number = !build.is_empty() && build.bytes().all(|b| b.is_ascii_digit());
            (is_hex && is_number).then(|| format!("plex-{version} build-{build}"))
        },
    ),
    (
        "minio",
        "from: {regex: 'RELEASE\\.(\\d{4})-(\\d\\d)-(\\d\\d)T.*Z'}, to: '${1}.${2}.${3}'",
        |tag| {
            let date = tag
                .strip_prefix("RELEASE.")?
                .strip_suffix('Z')?
                .split_once('T')?
                .0;
            let is_date = date.len() == 10;
            is_date.then(|| date.replace('-', "."))
        },
    ),
    (
        "nats-server",
        "from: {semver: '2.10.*', prefix: v, prerelease: true}, to: '${patch}-${pre | lower}x'",
        |tag| {
            let (patch, pre) = tag
                .strip_prefix("v2.10.")?
                .split_once('-')
                .unwrap_or((tag.strip_prefix("v2.10.")?, ""));
            Some(format!("{patch}-{}x", pre.to_lowercase()))
        },
    ),
    ("official-consul", "from: '*', to: 'consul-${tag}'", |tag| {
        Some(format!("consul-{tag}"))
    }),
    (
        "official-elasticsearch",
        "from: {glob: '*-alpine'}, to: 'alpine-${tag | replace(\"-alpine\", \"\")}'",
        |tag| {
            tag.strip_suffix("-alpine")
                .map(|version| format!("alpine-{version}"))
        },
    ),
    (
        "official-nextcloud",
        "from: {regex: '(\\d+)\\.(\\d+)\\.(\\d+)-(apache|fpm)'}, to: '${4}-${1}'",
        |tag| rewritten(r"(\d+)\.(\d+)\.(\d+)-(apache|fpm)", tag, "$4-$1"),
    ),
    (
        "official-nginx",
        "from: '1.2[0-9].*-alpine', to: '${tag}-${repository_name}'",
        |tag| rewritten(r"(1\.2[0-9]\..*-alpine)", tag, "$1-project"),
    ),
    (
        "official-postgres",
        "from: {regex: '(?<version>\\d+(?:\\.\\d+)?)(?<rest>-.*)?'}, to: 'pg${version | replace(\".\", \"_\")}${rest}'",
        |tag| {
            let (version, rest) = tag.find('-').map_or((tag, ""), |at| tag.split_at(at));
            rewritten(r"\d+(\.\d+)?", version, "").map(|_| format!("pg{}{rest}", version.replace('.', "_")))
        },
    ),
    (
        "official-python",
        "from: {semver: '~3.12', prerelease: false}, to: '3.12-${patch}'",
        |tag| {
            release(tag)
                .filter(|[major, minor, _]| (*major, *minor) == ("3", "12"))
                .map(|[_, _, patch]| format!("3.12-{patch}"))
        },
    ),
    (
        "pi-hole",
        "from: {regex: '(20\\d\\d)\\.(\\d\\d)\\.(\\d+)'}, to: '${1}${2}.${3}'",
        |tag| rewritten(r"(20\d\d)\.(\d\d)\.(\d+)", tag, "$1$2.$3"),
    ),
    (
        "prometheus",
        "from: {semver: '>=2.0.0-beta.0', prefix: v}, to: '${semver}'",
        |tag| {
            let version = Version::parse(tag.strip_prefix('v')?).ok()?;
            let is_named =
                version.pre.is_empty() || (version.major, version.minor, version.patch) == (2, 0, 0);
            (version >= Version::parse("2.0.0-beta.0").unwrap() && is_named).then(|| version.to_string())
        },
    ),
    (
        "rabbitmq-server",
        "from: {regex: 'rabbitmq_v(\\d+)_(\\d+)_(\\d+)'}, to: '${1}.${2}.${3}'",
        |tag| rewritten(r"rabbitmq_v(\d+)_(\d+)_(\d+)", tag, "$1.$2.$3"),
    ),
    (
        "traefik",
        "from: {glob: 'v1.0.alpha.*'}, to: '${tag[5:]}'",
        |tag| tag.starts_with("v1.0.alpha.").then(|| tag[5..].to_owned()),
    ),
];

#[test]
fn each_history_migrates_as_a_simple_computation_says() {
    let Some(folder) = folder() else { return };
    for (project, keys, simple) in MIGRATIONS {
        let history = history(&folder, project);
        let expected: BTreeSet<(String, String)> = history
            .iter()
            .filter_map(|(tag, _, _)| Some((tag, simple(tag)?)))
            .flat_map(|(tag, targets)| {
                let targets: Vec<String> = targets.split(' ').map(str::to_owned).collect();
                targets.into_iter().map(|target| (tag.clone(), target))
            })
            .collect();
        let found = candidates(keys, &inventory(&history)).into_iter();
        let found: BTreeSet<(String, String)> = found
            .map(|found| (found.source.unwrap().to_string(), found.target.to_string()))
            .collect();
        assert!(
            expected.len() >= 10,
            "{project}: only {} of {} tags",
            expected.len(),
            history.len()
        );
        assert_eq!(found, expected, "{project}");
    }
}

#[test]
fn every_history_has_a_migration() {
    let Some(folder) = folder() else { return };
    let names = fs::read_dir(folder.join("tags"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let names: BTreeSet<String> = names
        .filter_map(|name| name.strip_suffix(".tsv").map(str::to_owned))
        .collect();
    let own: BTreeSet<String> = MIGRATIONS
        .iter()
        .map(|(project, _, _)| (*project).to_owned())
        .collect();
    assert_eq!(own, names);
}

#[test]
fn floating_tags_are_on_the_highest_version() {
    let Some(folder) = folder() else { return };
    for (project, prefix) in [
        ("argo-cd", "v"),
        ("nats-server", "v"),
        ("official-consul", ""),
        ("traefik", "v"),
    ] {
        let history = history(&folder, project);
        let inventory = inventory(&history);
        let keys = format!(
            "from: {{semver: '*', prefix: '{prefix}'}}, to: ['${{major}}', '${{major}}.${{minor}}', latest], pick: highest"
        );
        let mut by_target: BTreeMap<String, Vec<Candidate>> = BTreeMap::new();
        for candidate in candidates(&keys, &inventory) {
            by_target
                .entry(candidate.target.to_string())
                .or_default()
                .push(candidate);
        }
        let mut expected: BTreeMap<String, (Version, &str)> = BTreeMap::new();
        for (tag, commit, _) in &history {
            let version = tag
                .strip_prefix(prefix)
                .and_then(|text| Version::parse(text).ok());
            let Some(version) = version.filter(|version| version.pre.is_empty()) else {
                continue;
            };
            for target in [
                version.major.to_string(),
                format!("{}.{}", version.major, version.minor),
                "latest".to_owned(),
            ] {
                let best = expected
                    .entry(target)
                    .or_insert_with(|| (version.clone(), commit));
                if version > best.0 {
                    *best = (version.clone(), commit);
                }
            }
        }
        assert_eq!(by_target.len(), expected.len(), "{project}");
        for (target, candidates) in by_target {
            let ranks: Vec<Rank> = candidates
                .iter()
                .map(|candidate| candidate.rank(&inventory))
                .collect();
            let (_, places) = rank::best(Pick::Highest, &ranks).unwrap();
            let (_, commit) = expected[&target];
            assert_eq!(
                candidates[places[0]].digest,
                Digest::of(commit.as_bytes()),
                "{project}:{target}"
            );
        }
    }
}

#[test]
fn push_times_bound_what_is_taken() {
    let Some(folder) = folder() else { return };
    let history = history(&folder, "minio");
    let inventory = inventory(&history);
    let keys = "from: {glob: 'RELEASE.*', pushed_after: 2024-01-01T00:00:00Z, pushed_before: 2025-01-01T00:00:00Z}, \
                to: '${pushed_at | date(\"%Y%m%d\")}-${short_digest}'";
    let found: BTreeSet<String> = candidates(keys, &inventory)
        .iter()
        .map(|found| found.target.to_string())
        .collect();
    let expected = history
        .iter()
        .filter(|(tag, _, date)| tag.starts_with("RELEASE.") && date.to_string().starts_with("2024-"));
    let expected: BTreeSet<String> = expected
        .map(|(_, commit, date)| {
            let day = date.to_string()[..10].replace('-', "");
            format!("{day}-{}", &Digest::of(commit.as_bytes()).to_string()[7..19])
        })
        .collect();
    assert!(expected.len() > 20);
    assert_eq!(found, expected);
}
