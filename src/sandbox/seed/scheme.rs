//! Tag schemes as compact rules.

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use super::manifest::Kind;
use super::{History, SeedError};
use crate::model::{Digest, Tag};

/// How the tags of a history are made.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scheme {
    /// Versions.
    Versions(Versions),
    /// The time of the push.
    Dated(Dated),
    /// Build numbers.
    Numbered(Numbered),
}

/// Versions such as `v1.8.0-rc.3`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Versions {
    /// What stands before each, such as `v` or the name of a component.
    #[serde(default)]
    pub prefix: String,
    /// Single versions, and ranges such as `1.0.0..1.0.4` or `1.1.0-rc.1..1.1.0-rc.3`, whose last number counts.
    pub ranges: Vec<String>,
    /// Tags that follow the newest release of a line.
    #[serde(default)]
    pub floating: Vec<Floating>,
    /// Variants, each an image of its own, such as `""` and `-alpine`.
    #[serde(default)]
    pub suffixes: Vec<String>,
}

/// A tag that follows the newest release of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Floating {
    /// `1` for `1.8.0`.
    Major,
    /// `1.8` for `1.8.0`.
    Minor,
}

/// Tags that say when they were pushed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dated {
    /// As `strftime` has it, such as `%Y.%m.%d`.
    pub format: String,
    /// How many.
    pub count: u32,
}

/// Tags that count.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Numbered {
    /// The tag, with `{n}` for the number and `{sha}` for seven hex digits of a commit.
    pub name: String,
    /// The first number.
    #[serde(default)]
    pub from: u32,
    /// How many.
    pub count: u32,
}

/// One push: an image and the tags that it takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Push {
    pub image: String,
    pub kind: Kind,
    pub at: Timestamp,
    pub tags: Vec<Tag>,
}

impl History {
    /// The pushes for a repository, in order.
    pub(super) fn to_pushes(&self, repository: &str, kind: Kind) -> Result<Vec<Push>, SeedError> {
        let mut times = Times {
            next: self.begin,
            every_seconds: i64::from(self.every_hours) * 3600,
        };
        let kind = self.image.unwrap_or(kind);
        let mut pushes = Vec::new();
        match &self.scheme {
            Scheme::Versions(versions) => {
                for version in versions.list()? {
                    let at = times.next(repository, &version)?;
                    for suffix in versions.all_suffixes() {
                        pushes.push(self.release(versions, &version, suffix, kind, at)?);
                    }
                }
            }
            Scheme::Dated(dated) => {
                for n in 0..dated.count {
                    let at = times.next(repository, &n.to_string())?;
                    let tag = at.strftime(&dated.format).to_string();
                    pushes.push(self.push(tag, kind, at)?);
                }
            }
            Scheme::Numbered(numbered) => {
                for n in numbered.from..numbered.from.saturating_add(numbered.count) {
                    let at = times.next(repository, &n.to_string())?;
                    let commit = Digest::of(format!("{repository} {n}").as_bytes()).short();
                    let sha = commit.get(..7).unwrap_or_default();
                    let tag = numbered.name.replace("{n}", &n.to_string()).replace("{sha}", sha);
                    pushes.push(self.push(tag, kind, at)?);
                }
            }
        }
        Ok(pushes)
    }

    fn push(&self, image: String, kind: Kind, at: Timestamp) -> Result<Push, SeedError> {
        let mut tags: Vec<Tag> = vec![image.parse()?];
        tags.extend(self.also.iter().cloned());
        Ok(Push {
            image,
            kind,
            at,
            tags,
        })
    }

    fn release(
        &self,
        versions: &Versions,
        version: &str,
        suffix: &str,
        kind: Kind,
        at: Timestamp,
    ) -> Result<Push, SeedError> {
        let name = |version: &str| format!("{}{version}{suffix}", versions.prefix);
        let mut tags: Vec<Tag> = vec![name(version).parse()?];
        let is_release = !version.contains('-');
        if is_release {
            for floating in &versions.floating {
                if let Some(line) = floating.line(version) {
                    tags.push(name(line).parse()?);
                }
            }
            for tag in &self.also {
                tags.push(format!("{tag}{suffix}").parse()?);
            }
        }
        Ok(Push {
            image: name(version),
            kind,
            at,
            tags,
        })
    }
}

impl Versions {
    fn all_suffixes(&self) -> Vec<&str> {
        if self.suffixes.is_empty() {
            vec![""]
        } else {
            self.suffixes.iter().map(String::as_str).collect()
        }
    }

    fn list(&self) -> Result<Vec<String>, SeedError> {
        let mut versions = Vec::new();
        for range in &self.ranges {
            let Some((first, last)) = range.split_once("..") else {
                versions.push(range.clone());
                continue;
            };
            let wrong = || SeedError::Range(range.clone());
            let (stem, from) = last_number(first).ok_or_else(wrong)?;
            let (other_stem, to) = last_number(last).ok_or_else(wrong)?;
            if stem != other_stem || from > to {
                return Err(wrong());
            }
            versions.extend((from..=to).map(|n| format!("{stem}{n}")));
        }
        Ok(versions)
    }
}

impl Floating {
    fn line(self, version: &str) -> Option<&str> {
        let (minor, _patch) = version.rsplit_once('.')?;
        match self {
            Self::Minor => Some(minor),
            Self::Major => minor.split('.').next(),
        }
    }
}

/// `1.8.0-rc.` and 3 of `1.8.0-rc.3`.
fn last_number(version: &str) -> Option<(&str, u32)> {
    let stem = version.trim_end_matches(|c: char| c.is_ascii_digit());
    let number = version.strip_prefix(stem)?.parse().ok()?;
    Some((stem, number))
}

/// The times of pushes: regular, but not to the minute.
struct Times {
    next: Timestamp,
    every_seconds: i64,
}

impl Times {
    fn next(&mut self, repository: &str, name: &str) -> Result<Timestamp, SeedError> {
        let hash = Digest::of(format!("time {repository} {name}").as_bytes()).short();
        let hash = i64::from_str_radix(hash.get(..8).unwrap_or_default(), 16).unwrap_or_default();
        let delay_seconds = hash % (self.every_seconds / 3).max(1);
        let at = self.next.checked_add(SignedDuration::from_secs(delay_seconds))?;
        self.next = self
            .next
            .checked_add(SignedDuration::from_secs(self.every_seconds))?;
        Ok(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn versions(ranges: &[&str]) -> Versions {
        Versions {
            prefix: String::new(),
            ranges: ranges.iter().map(|&range| range.to_owned()).collect(),
            floating: Vec::new(),
            suffixes: Vec::new(),
        }
    }

    #[test]
    fn the_last_number_of_a_range_counts() {
        let listed = versions(&["1.0.9..1.0.11", "2.0.0", "1.8.0-rc.1..1.8.0-rc.2"]).list();
        assert_eq!(
            listed.unwrap(),
            ["1.0.9", "1.0.10", "1.0.11", "2.0.0", "1.8.0-rc.1", "1.8.0-rc.2"]
        );
        for bad in ["1.0.0..1.1.0", "1.0.2..1.0.1", "a..b", "1.0..", ".."] {
            assert!(versions(&[bad]).list().is_err(), "{bad}");
        }
    }

    #[test]
    fn lines_of_a_version() {
        assert_eq!(Floating::Major.line("1.8.0"), Some("1"));
        assert_eq!(Floating::Minor.line("1.8.0"), Some("1.8"));
    }
}
