//! Tags that are versions, and what a requirement asks of them.

use semver::{BuildMetadata, Comparator, Op, Version, VersionReq};

/// Which versions are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionPattern {
    /// What the version must meet.
    pub requirement: VersionReq,
    /// What stands before the version, such as `v`.
    pub prefix: String,
    /// Whether pre-releases count by plain precedence, not only where the requirement names one.
    pub prerelease: bool,
    /// Whether a version may lack its minor or patch number.
    pub lenient: bool,
}

impl VersionPattern {
    /// The version that a tag stands for, if it is one and meets the requirement.
    pub fn version(&self, tag: &str) -> Option<Version> {
        let text = tag.strip_prefix(self.prefix.as_str())?;
        let version = if self.lenient {
            parse_lenient(text)?
        } else {
            parse(text)?
        };
        let is_met = if self.prerelease {
            let mut comparators = self.requirement.comparators.iter();
            comparators.all(|comparator| meets_by_precedence(comparator, &version))
        } else {
            self.requirement.matches(&version)
        };
        is_met.then_some(version)
    }
}

/// The version that a tag stands for by itself, with or without a `v` before it: for rules that do not say.
pub(super) fn of_tag(tag: &str) -> Option<Version> {
    parse(tag.strip_prefix('v').unwrap_or(tag))
}

/// A version with all three numbers.
fn parse(text: &str) -> Option<Version> {
    // Most tags of a repository are no versions; this is said without building an error.
    text.starts_with(|c: char| c.is_ascii_digit())
        .then(|| Version::parse(text).ok())
        .flatten()
}

/// A version that may lack its minor or patch number: `1.8-rc.1` is `1.8.0-rc.1`.
fn parse_lenient(text: &str) -> Option<Version> {
    let numbers_len = text.find(['-', '+']).unwrap_or(text.len());
    let (numbers, rest) = text.split_at_checked(numbers_len)?;
    match numbers.split('.').count() {
        1 => parse(&format!("{numbers}.0.0{rest}")),
        2 => parse(&format!("{numbers}.0{rest}")),
        _ => parse(text),
    }
}

/// Whether a version meets a comparator when pre-releases are ordered like any version.
///
/// `<2` means before `2.0.0`, so that `2.0.0-rc.1` meets it. What names a range of numbers (`^1.2`, `~1.2`, `1.*`,
/// `=1`) takes pre-releases within these numbers, from the lower end on.
fn meets_by_precedence(comparator: &Comparator, version: &Version) -> bool {
    let low = Version {
        major: comparator.major,
        minor: comparator.minor.unwrap_or(0),
        patch: comparator.patch.unwrap_or(0),
        pre: comparator.pre.clone(),
        build: BuildMetadata::EMPTY,
    };
    let is_full = comparator.patch.is_some();
    let from_low = version.cmp_precedence(&low).is_ge();
    let numbers = (version.major, version.minor, version.patch);
    // Where the comparator leaves numbers open, every version with its numbers is within, pre-releases too.
    let within = |end: Option<(u64, u64, u64)>| {
        let is_begun = if is_full {
            from_low
        } else {
            numbers >= (low.major, low.minor, low.patch)
        };
        is_begun && end.is_none_or(|end| numbers < end)
    };
    match comparator.op {
        Op::Exact if is_full => version.cmp_precedence(&low).is_eq(),
        Op::Greater if is_full => version.cmp_precedence(&low).is_gt(),
        Op::Greater => numbers >= after_named(comparator),
        Op::GreaterEq => from_low,
        Op::Less => version.cmp_precedence(&low).is_lt(),
        Op::LessEq if is_full => version.cmp_precedence(&low).is_le(),
        Op::LessEq => numbers < after_named(comparator),
        Op::Tilde => within(Some(tilde_end(comparator))),
        Op::Caret => within(Some(caret_end(comparator))),
        _ => within(Some(after_named(comparator))),
    }
}

/// The first numbers after all that begin with the numbers that the comparator names.
fn after_named(comparator: &Comparator) -> (u64, u64, u64) {
    let next = |number: u64| number.saturating_add(1);
    match (comparator.minor, comparator.patch) {
        (None, _) => (next(comparator.major), 0, 0),
        (Some(minor), None) => (comparator.major, next(minor), 0),
        (Some(minor), Some(patch)) => (comparator.major, minor, next(patch)),
    }
}

fn tilde_end(comparator: &Comparator) -> (u64, u64, u64) {
    match comparator.minor {
        Some(minor) => (comparator.major, minor.saturating_add(1), 0),
        None => (comparator.major.saturating_add(1), 0, 0),
    }
}

fn caret_end(comparator: &Comparator) -> (u64, u64, u64) {
    match (comparator.major, comparator.minor, comparator.patch) {
        (0, Some(0), Some(patch)) => (0, 0, patch.saturating_add(1)),
        (0, Some(minor), _) => (0, minor.saturating_add(1), 0),
        (major, _, _) => (major.saturating_add(1), 0, 0),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(requirement: &str, prerelease: bool, lenient: bool, tag: &str) -> bool {
        let pattern = VersionPattern {
            requirement: VersionReq::parse(requirement).unwrap(),
            prefix: String::new(),
            prerelease,
            lenient,
        };
        pattern.version(tag).is_some()
    }

    #[test]
    fn a_version_has_all_three_numbers() {
        for (tag, strict, lenient) in [
            ("1.8.0", true, true),
            ("1.8", false, true),
            ("1", false, true),
            ("latest", false, false),
            ("1.8.0.1", false, false),
            ("01.8.0", false, false),
            ("1.8-", false, false),
            ("", false, false),
            ("v1.8.0", false, false),
            ("99999999999999999999.0.0", false, false),
        ] {
            assert_eq!(matches("*", false, false, tag), strict, "{tag}");
            assert_eq!(matches("*", false, true, tag), lenient, "{tag}");
        }
    }

    #[test]
    fn pre_releases_match_where_they_are_named_or_by_precedence() {
        for (requirement, tag, plain, by_precedence) in [
            ("*", "1.8.0-rc.1", false, true),
            (">=1.8, <2", "1.9.0-rc.1", false, true),
            (">=1.8, <2", "1.8.0-rc.1", false, false),
            (">=1.8, <2", "2.0.0-rc.1", false, true),
            (">=1.8.0-rc.2", "1.8.0-rc.1", false, false),
            (">=1.8.0-rc.2", "1.8.0-rc.3", true, true),
            (">=1.8.0-rc.2", "1.9.0-rc.1", false, true),
            ("^1.8", "2.0.0-rc.1", false, false),
            ("^1.8.2", "1.8.2-rc.1", false, false),
            ("1.8.*", "1.8.0-rc.1", false, true),
            ("~1.8", "1.9.0-rc.1", false, false),
            ("=1.8", "1.8.3-rc.1", false, true),
            (">1.8", "1.9.0-rc.1", false, true),
            (">1.8", "1.8.9-rc.1", false, false),
            ("<=1.8", "1.8.9-rc.1", false, true),
            ("=1.8.0-rc.1", "1.8.0-rc.1", true, true),
        ] {
            assert_eq!(
                matches(requirement, false, false, tag),
                plain,
                "{requirement} {tag}"
            );
            assert_eq!(
                matches(requirement, true, false, tag),
                by_precedence,
                "{requirement} {tag}"
            );
        }
    }

    proptest! {
        #[test]
        fn releases_match_as_the_semver_crate_says(
            op in prop::sample::select(vec!["", "=", ">", ">=", "<", "<=", "~", "^"]),
            required in (0_u64..3, prop::option::of((0_u64..3, prop::option::of(0_u64..3)))),
            version in (0_u64..4, 0_u64..4, 0_u64..4),
        ) {
            let numbers = match required {
                (major, None) => major.to_string(),
                (major, Some((minor, None))) => format!("{major}.{minor}"),
                (major, Some((minor, Some(patch)))) => format!("{major}.{minor}.{patch}"),
            };
            let requirement = format!("{op}{numbers}");
            let version = format!("{}.{}.{}", version.0, version.1, version.2);
            prop_assert_eq!(
                matches(&requirement, true, false, &version),
                matches(&requirement, false, false, &version),
                "{} {}", requirement, version
            );
        }
    }
}
