//! A first plan file: commented, valid as it is, and about the tags that are there.

use std::collections::BTreeMap;

use super::text::{counted, push};
use crate::model::{RepositoryName, Tag};

/// Repositories that one rule of a starter names.
const REPOSITORIES_MAX: usize = 50;
/// So many tags in a scheme, and a third of all, are a habit.
const HABIT_MIN: usize = 3;

/// A way to name tags that is found in the wild.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Scheme {
    /// `v1.8.0`
    PrefixedVersion,
    /// `1.8.0`
    Version,
    /// `build-123-gabcdef`
    Build,
    /// `RELEASE.2024-01-31T12-00-00Z`
    Release,
    /// None of these.
    Other,
}

/// What was seen of a repository: the tags, where the registry was asked.
#[derive(Debug, Clone)]
pub struct StarterRepository {
    /// Its name.
    pub name: RepositoryName,
    /// Its tags; absent if nobody looked.
    pub tags: Option<Vec<Tag>>,
}

/// Writes a plan file for these repositories: a rule for each scheme that their tags follow, else a promotion to fill
/// in. The text is a plan file without mistakes.
pub fn starter_plan(repositories: &[StarterRepository]) -> String {
    let mut by_scheme: BTreeMap<Scheme, Vec<&RepositoryName>> = BTreeMap::new();
    let mut unknown = Vec::new();
    for repository in repositories {
        let schemes = match &repository.tags {
            None => vec![Scheme::Other],
            Some(tags) => schemes(tags),
        };
        if schemes.is_empty() {
            unknown.push(&repository.name);
        }
        for scheme in schemes {
            by_scheme.entry(scheme).or_default().push(&repository.name);
        }
    }
    if by_scheme.is_empty() {
        by_scheme.insert(Scheme::Other, std::mem::take(&mut unknown));
    }
    let mut out = String::from(HEAD);
    if by_scheme.contains_key(&Scheme::Other) {
        out.push_str(VARIABLES);
    }
    out.push_str(POLICY);
    out.push_str("rules:\n");
    for (scheme, names) in by_scheme {
        for (number, names) in names.chunks(REPOSITORIES_MAX).enumerate() {
            push_rule(&mut out, scheme, names, number);
        }
    }
    if !unknown.is_empty() {
        out.push_str("\n  # The tags of these follow no scheme that is known:\n");
        for repository in unknown {
            push(&mut out, format_args!("  #   {repository}\n"));
        }
    }
    out
}

/// The schemes that a good part of the tags follow.
fn schemes(tags: &[Tag]) -> Vec<Scheme> {
    let mut counts: BTreeMap<Scheme, usize> = BTreeMap::new();
    for tag in tags {
        *counts.entry(scheme(tag.as_str())).or_default() += 1;
    }
    counts.remove(&Scheme::Other);
    counts.retain(|_, count| *count >= HABIT_MIN && *count * 3 >= tags.len());
    counts.into_keys().collect()
}

fn scheme(tag: &str) -> Scheme {
    let is_version = |text: &str| semver::Version::parse(text).is_ok();
    let is_hex = |text: &str| (7..=40).contains(&text.len()) && text.chars().all(|c| c.is_ascii_hexdigit());
    let build = || tag.strip_prefix("build-")?.split_once("-g");
    if is_version(tag) {
        Scheme::Version
    } else if tag.strip_prefix('v').is_some_and(is_version) {
        Scheme::PrefixedVersion
    } else if build().is_some_and(|(number, commit)| number.parse::<u64>().is_ok() && is_hex(commit)) {
        Scheme::Build
    } else if tag.starts_with("RELEASE.20") && tag.ends_with('Z') {
        Scheme::Release
    } else {
        Scheme::Other
    }
}

fn push_rule(out: &mut String, scheme: Scheme, names: &[&RepositoryName], number: usize) {
    let (story, name, keys) = match scheme {
        Scheme::PrefixedVersion => (
            "Floating tags: `v1` is the highest 1.x.y, `v1.8` the highest 1.8.y. No tag is ever taken back.",
            "floating tags of versions with a v",
            FLOATING_PREFIXED,
        ),
        Scheme::Version => (
            "Floating tags: `1` is the highest 1.x.y, `1.8` the highest 1.8.y. No tag is ever taken back.",
            "floating tags of versions",
            FLOATING,
        ),
        Scheme::Build => (
            "Builds by their commit: `build-123-gabcdef0` is `sha-abcdef0` as well.",
            "builds by their commit",
            BUILDS,
        ),
        Scheme::Release => (
            "Releases by their day: `RELEASE.2024-01-31T12-00-00Z` is `2024.01.31` as well.",
            "releases by their day",
            RELEASES,
        ),
        Scheme::Other => (
            "A promotion: the candidate becomes the release, and what `stable` means.",
            "promote the candidate",
            PROMOTION,
        ),
    };
    let suffix = if number > 0 {
        format!(" ({})", number + 1)
    } else {
        String::new()
    };
    push(out, format_args!("\n  # {story}\n"));
    if names.len() > 1 {
        let count = counted(names.len() as u64, "repository", "repositories");
        push(
            out,
            format_args!("  # {count}; a glob such as \"shop/*\" may say the same.\n"),
        );
    }
    push(out, format_args!("  - name: {name}{suffix}\n    repositories:\n"));
    for repository in names {
        push(out, format_args!("      - {repository}\n"));
    }
    out.push_str(keys);
}

const HEAD: &str = "\
# yaml-language-server: $schema=plan.schema.json
#
# (Editors complete from the schema: `ecr-retag schema plan > plan.schema.json`.)
#
# A plan for ecr-retag: which tags should be named what. Nothing happens before you say `apply`:
#
#   ecr-retag validate FILE     is it a plan?
#   ecr-retag match FILE        which tags does each rule take, and what do they become?
#   ecr-retag plan FILE         what would change?
#   ecr-retag apply FILE        shows it again, asks, and changes it
version: 1

";

const VARIABLES: &str = "\
# Values to set for a run: --var candidate=1.8.0-rc.3
vars:
  candidate: 1.0.0-rc.1
  version: 1.0.0

";

const POLICY: &str = "\
# What this plan may never do, whatever its rules say.
policy:
  # Tags that are never moved or removed: names or globs.
  protect: [prod]
  # The most changes of each kind; apply refuses more, unless a flag lifts the limit for one run.
  max_moves: 100
  max_removes: 0

";

const FLOATING_PREFIXED: &str = "    from: { semver: \"*\", prefix: v }
    to: [\"v${major}\", \"v${major}.${minor}\"]
    pick: highest
    on_existing: advance
";

const FLOATING: &str = "    from: { semver: \"*\" }
    to: [\"${major}\", \"${major}.${minor}\"]
    pick: highest
    on_existing: advance
";

const BUILDS: &str = "    from: { regex: 'build-\\d+-g(?<commit>[0-9a-f]{7,40})' }
    to: sha-${commit}
    pick: highest
";

const RELEASES: &str = "    from: { regex: 'RELEASE\\.(?<year>\\d{4})-(?<month>\\d\\d)-(?<day>\\d\\d)T.*Z' }
    to: ${year}.${month}.${day}
    pick: highest
";

const PROMOTION: &str = "    from: ${candidate}
    to: [\"${version}\", stable]
    # What `stable` leaves stays reachable, for the way back.
    backup: { stable: previous }
";

#[cfg(test)]
mod tests {
    use super::*;

    fn repository(name: &str, tags: Option<&[&str]>) -> StarterRepository {
        StarterRepository {
            name: name.parse().unwrap(),
            tags: tags.map(|tags| tags.iter().map(|tag| tag.parse().unwrap()).collect()),
        }
    }

    #[test]
    fn every_starter_is_a_plan_without_mistakes() {
        let all = [
            repository("shop/api", None),
            repository("shop/v", Some(&["v1.0.0", "v1.0.1", "v1.1.0", "latest"])),
            repository("shop/n", Some(&["1.0.0", "1.0.1-rc.1", "1.1.0", "1"])),
            repository(
                "ci/b",
                Some(&["build-1-gabcdef0", "build-2-gabcdef1", "build-3-gabcdef2"]),
            ),
            repository("st/r", Some(&["RELEASE.2024-01-31T12-00-00Z"; 3])),
            repository("st/few", Some(&["v1.0.0"])),
        ];
        let subsets = all.iter().map(std::slice::from_ref).chain([&all[..]]);
        for subset in subsets {
            let text = starter_plan(subset);
            let input = crate::plan::PlanInput {
                path: "-".into(),
                text: text.clone(),
            };
            let nowhere = |_: &std::path::Path| Err(std::io::ErrorKind::NotFound.into());
            let loaded = crate::plan::load(vec![input], &crate::plan::VariableInputs::default(), &nowhere);
            assert!(loaded.diagnostics.is_empty(), "{text}\n{:#?}", loaded.diagnostics);
            assert!(loaded.plan.is_some());
        }
        let rules = starter_plan(&all);
        assert_eq!(rules.matches("  - name: ").count(), 5, "{rules}");
        assert!(rules.contains("  #   st/few\n"), "{rules}");
    }
}
