//! Why a tag is no source of a rule: the first thing that each of its selectors refuses.

use std::fmt;

use jiff::Timestamp;

use super::select::{Pattern, Selector};
use super::version::VersionPattern;
use super::{Mapping, Rule};
use crate::inventory::Inventory;
use crate::model::{Digest, Tag};

/// What a selector refuses about a tag. The words do not name the tag, so that many can share them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refusal {
    /// The selector asks for this tag.
    OtherTag(Tag),
    /// The selector asks for an image by its digest.
    ByDigest,
    /// The map has no such source.
    NotInMap,
    /// It does not match this glob.
    Glob(String),
    /// It does not match this expression from end to end.
    Regex(String),
    /// It does not begin with this prefix.
    Prefix(String),
    /// It is no version.
    NoVersion,
    /// It lacks its minor or patch number.
    Incomplete,
    /// It is a pre-release, and the requirement names none.
    Prerelease(String),
    /// Its version does not meet this requirement.
    Requirement(String),
    /// It matches this glob of `exclude`.
    Excluded(String),
    /// It is not known when its image was pushed.
    NoPushTime,
    /// Its image was pushed at or before this moment.
    NotAfter(Timestamp),
    /// Its image was pushed at or after this moment.
    NotBefore(Timestamp),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherTag(tag) => write!(f, "not the tag `{tag}`"),
            Self::ByDigest => f.write_str("selected by digest, not by tag"),
            Self::NotInMap => f.write_str("not in the map"),
            Self::Glob(glob) => write!(f, "no match of the glob `{glob}`"),
            Self::Regex(regex) => write!(f, "no match of the regex `{regex}`"),
            Self::Prefix(prefix) => write!(f, "does not begin with `{prefix}`"),
            Self::NoVersion => f.write_str("no version"),
            Self::Incomplete => f.write_str("no version with all three numbers (`lenient: true` takes it)"),
            Self::Prerelease(requirement) => {
                write!(
                    f,
                    "a pre-release, and `{requirement}` names none (`prerelease: true` takes it)"
                )
            }
            Self::Requirement(requirement) => write!(f, "a version that does not meet `{requirement}`"),
            Self::Excluded(glob) => write!(f, "excluded by `{glob}`"),
            Self::NoPushTime => f.write_str("not known when it was pushed"),
            Self::NotAfter(moment) => write!(f, "not pushed after {moment}"),
            Self::NotBefore(moment) => write!(f, "not pushed before {moment}"),
        }
    }
}

impl Rule {
    /// What each selector refuses about a tag, in the order they are written; nothing if the tag is a source.
    pub fn refusals(&self, tag: &Tag, digest: Digest, inventory: &Inventory, now: Timestamp) -> Vec<Refusal> {
        match &self.mapping {
            Mapping::Map(map) => {
                let is_source = map.contains(&inventory.repository, tag);
                (!is_source).then_some(Refusal::NotInMap).into_iter().collect()
            }
            Mapping::Select { from, .. } => from
                .iter()
                .map(|selector| selector.refusal(tag, inventory.pushed_at(digest), now))
                .collect::<Option<Vec<_>>>()
                .unwrap_or_default(),
        }
    }
}

impl Selector {
    fn refusal(&self, tag: &Tag, pushed_at: Option<Timestamp>, now: Timestamp) -> Option<Refusal> {
        let text = tag.as_str();
        let of_pattern = match &self.pattern {
            Pattern::Tag(exact) => (exact != tag).then(|| Refusal::OtherTag(exact.clone())),
            Pattern::Digest(_) => Some(Refusal::ByDigest),
            Pattern::Glob(glob) => (!glob.matches(text)).then(|| Refusal::Glob(glob.text.clone())),
            Pattern::Regex(regex) => {
                let anchored = regex.as_str();
                let written = anchored
                    .strip_prefix(r"\A(?:")
                    .and_then(|rest| rest.strip_suffix(r")\z"));
                let is_match = regex.is_match(text.as_bytes());
                (!is_match).then(|| Refusal::Regex(written.unwrap_or(anchored).to_owned()))
            }
            Pattern::Semver(pattern) => pattern.refusal(text),
        };
        let excluding = || self.exclude.iter().find(|glob| glob.matches(text));
        of_pattern
            .or_else(|| excluding().map(|glob| Refusal::Excluded(glob.text.clone())))
            .or_else(|| self.refused_push_time(pushed_at, now))
    }

    fn refused_push_time(&self, pushed_at: Option<Timestamp>, now: Timestamp) -> Option<Refusal> {
        if !self.needs_push_times() {
            return None;
        }
        let Some(at) = pushed_at else {
            return Some(Refusal::NoPushTime);
        };
        let after = self.pushed_after.as_ref().map(|moment| moment.resolve(now));
        let before = self.pushed_before.as_ref().map(|moment| moment.resolve(now));
        let not_after = after.filter(|moment| at <= *moment).map(Refusal::NotAfter);
        not_after.or_else(|| before.filter(|moment| at >= *moment).map(Refusal::NotBefore))
    }
}

impl VersionPattern {
    fn refusal(&self, text: &str) -> Option<Refusal> {
        if self.version(text).is_some() {
            return None;
        }
        let requirement = self.requirement.to_string();
        let any = Self {
            requirement: semver::VersionReq::STAR,
            prerelease: true,
            ..self.clone()
        };
        Some(if !text.starts_with(&self.prefix) {
            Refusal::Prefix(self.prefix.clone())
        } else if let Some(version) = any.version(text) {
            let by_precedence = Self {
                prerelease: true,
                ..self.clone()
            };
            if !version.pre.is_empty() && by_precedence.version(text).is_some() {
                Refusal::Prerelease(requirement)
            } else {
                Refusal::Requirement(requirement)
            }
        } else if (Self { lenient: true, ..any }).version(text).is_some() {
            Refusal::Incomplete
        } else {
            Refusal::NoVersion
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{inventory, rule};
    use super::*;

    const NOW: Timestamp = Timestamp::constant(10_000_000, 0);

    #[test]
    fn each_part_of_a_selector_says_what_it_refuses() {
        for (from, tag, expected) in [
            ("1.8.*", "1.9.0", "no match of the glob `1.8.*`"),
            ("stable", "1.9.0", "not the tag `stable`"),
            (r"{regex: 'v(\d+)'}", "v1-x", r"no match of the regex `v(\d+)`"),
            ("{semver: '*', prefix: v}", "1.9.0", "does not begin with `v`"),
            ("{semver: '*'}", "latest", "no version"),
            (
                "{semver: '*'}",
                "1.9",
                "no version with all three numbers (`lenient: true` takes it)",
            ),
            ("{semver: '<2'}", "2.1.0", "a version that does not meet `<2`"),
            (
                "{semver: '*'}",
                "2.1.0-rc.1",
                "a pre-release, and `*` names none (`prerelease: true` takes it)",
            ),
            (
                "{glob: '*', exclude: 'nightly-*'}",
                "nightly-7",
                "excluded by `nightly-*`",
            ),
            (
                "{glob: '*', pushed_after: 30d}",
                "x",
                "not known when it was pushed",
            ),
            (
                "[1.8.*, stable]",
                "x",
                "no match of the glob `1.8.*`; not the tag `stable`",
            ),
            ("[1.8.*, x]", "x", ""),
        ] {
            let inventory = inventory(&[tag]);
            let (tag, digest) = inventory.tags.first_key_value().unwrap();
            let rule = rule(&format!("from: {from}, to: y"));
            let refusals = rule.refusals(tag, *digest, &inventory, NOW);
            let text: Vec<String> = refusals.iter().map(ToString::to_string).collect();
            assert_eq!(text.join("; "), expected, "{from} {tag}");
            let selected = rule.select(&inventory.repository, &inventory, NOW);
            assert_eq!(
                selected.candidates.is_empty(),
                !refusals.is_empty(),
                "{from} {tag}"
            );
        }
    }
}
