//! Selectors: which tags of a repository a rule takes as sources, and what becomes of them.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use regex::{Captures, Regex};
use semver::{Version, VersionReq};

use super::glob::Glob;
use super::rank::{self, Rank};
use super::target::{Scope, Template};
use super::{Candidate, Mapping, MissingSource, Pick, Rule, Selection};
use crate::diagnostic::{Code, Diagnostic, Span};
use crate::inventory::Inventory;
use crate::model::{Digest, RepositoryName, Tag};

/// Which tags, or which image, a rule takes as sources.
#[derive(Debug, Clone)]
pub struct Selector {
    /// What must match.
    pub pattern: Pattern,
    /// Tags that are left out all the same.
    pub exclude: Vec<Glob>,
    /// Only images pushed after this moment.
    pub pushed_after: Option<Moment>,
    /// Only images pushed before this moment.
    pub pushed_before: Option<Moment>,
    /// Where it stands.
    pub span: Span,
}

/// What a selector asks of a tag.
#[derive(Debug, Clone)]
pub enum Pattern {
    /// It is this tag.
    Tag(Tag),
    /// It matches this pattern.
    Glob(Glob),
    /// It matches this expression from end to end.
    Regex(Regex),
    /// It is a version that meets a requirement.
    Semver(VersionPattern),
    /// Not a tag: the image with this digest.
    Digest(Digest),
}

/// Which versions are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionPattern {
    /// What the version must meet.
    pub requirement: VersionReq,
    /// What stands before the version, such as `v`.
    pub prefix: String,
    /// Whether pre-releases count by plain precedence.
    pub prerelease: bool,
    /// Whether a version may lack its minor or patch number.
    pub lenient: bool,
}

/// A moment, fixed or counted back from now.
#[derive(Debug, Clone)]
pub enum Moment {
    /// This moment.
    At(Timestamp),
    /// So long ago.
    Ago(jiff::Span),
}

/// How a selector matched a tag.
pub(super) struct Match<'t> {
    pub(super) version: Option<Version>,
    pub(super) captures: Option<Captures<'t>>,
}

impl Moment {
    /// The moment, days and longer units counted in UTC.
    pub fn resolve(&self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(moment) => *moment,
            Self::Ago(span) => now
                .to_zoned_datetime(TimeZone::UTC)
                .checked_sub(*span)
                .map_or(Timestamp::MIN, |moment| moment.timestamp()),
        }
    }
}

impl VersionPattern {
    fn version(&self, tag: &str) -> Option<Version> {
        let version = Version::parse(tag.strip_prefix(&self.prefix)?).ok()?;
        self.requirement.matches(&version).then_some(version)
    }
}

impl Selector {
    /// Whether it asks for one tag or image by name.
    pub fn is_exact(&self) -> bool {
        matches!(self.pattern, Pattern::Tag(_) | Pattern::Digest(_))
    }

    /// Whether it asks when images were pushed.
    pub fn needs_push_times(&self) -> bool {
        self.pushed_after.is_some() || self.pushed_before.is_some()
    }

    fn match_tag<'t>(&self, tag: &'t Tag) -> Option<Match<'t>> {
        let text = tag.as_str();
        let mut found = Match {
            version: None,
            captures: None,
        };
        match &self.pattern {
            Pattern::Tag(exact) => (exact == tag).then_some(())?,
            Pattern::Glob(glob) => glob.matches(text).then_some(())?,
            Pattern::Regex(regex) => found.captures = Some(regex.captures(text)?),
            Pattern::Semver(pattern) => found.version = Some(pattern.version(text)?),
            Pattern::Digest(_) => return None,
        }
        if self.exclude.iter().any(|glob| glob.matches(text)) {
            return None;
        }
        Some(found)
    }

    fn allows_push_time(&self, pushed_at: Option<Timestamp>, now: Timestamp) -> bool {
        let is_after = |moment: &Moment| pushed_at.is_some_and(|at| at > moment.resolve(now));
        let is_before = |moment: &Moment| pushed_at.is_some_and(|at| at < moment.resolve(now));
        self.pushed_after.as_ref().is_none_or(is_after) && self.pushed_before.as_ref().is_none_or(is_before)
    }
}

impl Rule {
    /// What the rule makes of one repository: sources in the order of their names, then images selected by digest,
    /// each with its targets in the order they are written.
    ///
    /// `repository` names the inventory's own repository; `now` is the moment that spans such as `30d` count from.
    pub fn select(&self, repository: &RepositoryName, inventory: &Inventory, now: Timestamp) -> Selection {
        let mut selection = Selection::default();
        match &self.mapping {
            Mapping::Select { from, to } => {
                for (tag, &digest) in &inventory.tags {
                    if let Some(found) = match_any(from, tag, digest, inventory, now) {
                        self.push(
                            &mut selection,
                            repository,
                            inventory,
                            Some(tag),
                            digest,
                            &found,
                            to,
                        );
                    }
                }
                for selector in from {
                    selection.missing.extend(missing(selector, inventory));
                }
            }
            Mapping::Map(map) => {
                for row in map.rows_for(repository) {
                    match inventory.tags.get(&row.from) {
                        Some(&digest) => selection.candidates.push(Candidate {
                            source: Some(row.from.clone()),
                            digest,
                            target: row.to.clone(),
                            version: None,
                            span: row.span,
                        }),
                        None => selection.missing.push(MissingSource {
                            source: row.from.to_string(),
                            targets: vec![row.to.clone()],
                            span: row.span,
                        }),
                    }
                }
            }
        }
        selection
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "to be folded into one value with the whole language"
    )]
    fn push(
        &self,
        selection: &mut Selection,
        repository: &RepositoryName,
        inventory: &Inventory,
        source: Option<&Tag>,
        digest: Digest,
        found: &Match<'_>,
        to: &[Template],
    ) {
        let scope = Scope {
            repository,
            source,
            digest: Some(digest),
            pushed_at: inventory.pushed_at(digest),
            version: found.version.as_ref(),
            captures: found.captures.as_ref(),
        };
        for template in to {
            let target = template
                .render(&scope)
                .and_then(|text| text.parse().map_err(|error| format!("{error}")));
            match target {
                Ok(target) => selection.candidates.push(Candidate {
                    source: source.cloned(),
                    digest,
                    target,
                    version: found.version.clone(),
                    span: template.span,
                }),
                Err(reason) => selection.problems.push(
                    Diagnostic::error(Code::InvalidTag, format!("rule `{}`: {reason}", self.name))
                        .at(template.span, ""),
                ),
            }
        }
    }

    /// What the image that a target is on counts as, for `on_existing: advance`.
    ///
    /// With `pick: newest` that is its push time; else the highest of its tags that the rule's selectors match. `None`
    /// if it has no such tag, or its push time is not known.
    pub fn present_rank(&self, inventory: &Inventory, digest: Digest, now: Timestamp) -> Option<Rank> {
        let pushed_at = inventory.pushed_at(digest);
        if self.pick == Pick::Newest {
            return pushed_at.map(|_| Rank {
                tag: None,
                version: None,
                pushed_at,
            });
        }
        let ranks: Vec<Rank> = inventory
            .tags
            .iter()
            .filter(|(_, on)| **on == digest)
            .filter_map(|(tag, _)| self.rank_of(tag, digest, inventory, now))
            .collect();
        let (_, places) = rank::best(self.pick, &ranks)?;
        places.first().and_then(|&place| ranks.get(place).cloned())
    }

    fn rank_of(&self, tag: &Tag, digest: Digest, inventory: &Inventory, now: Timestamp) -> Option<Rank> {
        let version = match &self.mapping {
            Mapping::Select { from, .. } => match_any(from, tag, digest, inventory, now)?.version,
            Mapping::Map(map) => {
                let mut rows = map.rows_for(&inventory.repository);
                rows.find(|row| row.from == *tag)?;
                None
            }
        };
        Some(Rank {
            tag: Some(tag.to_string()),
            version,
            pushed_at: inventory.pushed_at(digest),
        })
    }
}

fn match_any<'t>(
    selectors: &[Selector],
    tag: &'t Tag,
    digest: Digest,
    inventory: &Inventory,
    now: Timestamp,
) -> Option<Match<'t>> {
    selectors.iter().find_map(|selector| {
        let found = selector.match_tag(tag)?;
        let is_in_time =
            !selector.needs_push_times() || selector.allows_push_time(inventory.pushed_at(digest), now);
        is_in_time.then_some(found)
    })
}

fn missing(selector: &Selector, inventory: &Inventory) -> Option<MissingSource> {
    let Pattern::Tag(tag) = &selector.pattern else {
        return None;
    };
    (!inventory.tags.contains_key(tag)).then(|| MissingSource {
        source: tag.to_string(),
        targets: Vec::new(),
        span: selector.span,
    })
}

impl Candidate {
    /// What the candidate counts as when `pick` or `advance` compares it.
    pub fn rank(&self, inventory: &Inventory) -> Rank {
        Rank {
            tag: self.source.as_ref().map(ToString::to_string),
            version: self.version.clone(),
            pushed_at: inventory.pushed_at(self.digest),
        }
    }
}
