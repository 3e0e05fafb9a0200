//! Selectors: which tags of a repository a rule takes as sources, and what becomes of them.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use regex::bytes::{Captures, Regex};
use semver::Version;

use super::glob::Glob;
use super::rank::{self, Rank};
use super::report::quoted;
use super::target::{Scope, TargetError, Template};
use super::version::{self, VersionPattern};
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

/// A moment, fixed or counted back from now.
#[derive(Debug, Clone)]
pub enum Moment {
    /// This moment.
    At(Timestamp),
    /// So long ago.
    Ago(jiff::Span),
}

/// How a selector matched a source.
#[derive(Default)]
struct Match<'t> {
    version: Option<Version>,
    captures: Option<Captures<'t>>,
}

/// The repository that a rule is applied to, at the moment that spans such as `30d` count from.
#[derive(Clone, Copy)]
struct Seen<'a> {
    repository: &'a RepositoryName,
    inventory: &'a Inventory,
    now: Timestamp,
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

impl Selector {
    /// Whether it asks for one tag or image by name.
    pub fn is_exact(&self) -> bool {
        matches!(self.pattern, Pattern::Tag(_) | Pattern::Digest(_))
    }

    /// Whether it asks when images were pushed.
    pub fn needs_push_times(&self) -> bool {
        self.pushed_after.is_some() || self.pushed_before.is_some()
    }

    fn match_tag<'t>(&self, tag: &'t Tag, digest: Digest, seen: Seen<'_>) -> Option<Match<'t>> {
        let text = tag.as_str();
        let mut found = Match::default();
        match &self.pattern {
            Pattern::Tag(exact) => (exact == tag).then_some(())?,
            Pattern::Glob(glob) => glob.matches(text).then_some(())?,
            Pattern::Regex(regex) => {
                regex.is_match(text.as_bytes()).then_some(())?;
                found.captures = Some(regex.captures(text.as_bytes())?);
            }
            Pattern::Semver(pattern) => found.version = Some(pattern.version(text)?),
            Pattern::Digest(_) => return None,
        }
        let is_excluded = self.exclude.iter().any(|glob| glob.matches(text));
        (!is_excluded && self.takes_push_time(digest, seen)).then_some(found)
    }

    fn takes_push_time(&self, digest: Digest, seen: Seen<'_>) -> bool {
        let pushed_at = seen.inventory.pushed_at(digest);
        let is_after = |moment: &Moment| pushed_at.is_some_and(|at| at > moment.resolve(seen.now));
        let is_before = |moment: &Moment| pushed_at.is_some_and(|at| at < moment.resolve(seen.now));
        self.pushed_after.as_ref().is_none_or(is_after) && self.pushed_before.as_ref().is_none_or(is_before)
    }
}

impl Rule {
    /// What the rule makes of one repository: sources in the order of their names, then images selected by their
    /// digest, each with its targets.
    ///
    /// Of several selectors that match a tag, the one written first gives its captures and its version. `now` is the
    /// moment that spans such as `30d` count from.
    pub fn select(&self, repository: &RepositoryName, inventory: &Inventory, now: Timestamp) -> Selection {
        let seen = Seen {
            repository,
            inventory,
            now,
        };
        let mut selection = Selection::default();
        match &self.mapping {
            Mapping::Select { from, to } => {
                self.select_tags(from, to, seen, &mut selection);
                for selector in from {
                    self.select_exact(selector, to, seen, &mut selection);
                }
            }
            Mapping::Map(map) => {
                for (source, targets) in map.sources(repository) {
                    let digest = inventory.tags.get(source).copied();
                    selection.add_row(source, digest, &targets);
                }
            }
        }
        selection
    }

    fn select_tags(&self, from: &[Selector], to: &[Template], seen: Seen<'_>, selection: &mut Selection) {
        let mut take = |tag: &Tag, digest: Digest| {
            if let Some(found) = match_any(from, tag, digest, seen) {
                self.render(to, Some(tag), digest, &found, seen, selection);
            }
        };
        if !from.iter().all(Selector::is_exact) {
            for (tag, &digest) in &seen.inventory.tags {
                take(tag, digest);
            }
            return;
        }
        let mut exact: Vec<&Tag> = from.iter().filter_map(Selector::exact_tag).collect();
        exact.sort_unstable();
        exact.dedup();
        for tag in exact {
            if let Some(&digest) = seen.inventory.tags.get(tag) {
                take(tag, digest);
            }
        }
    }

    /// Images selected by their digest, and everything exact that is not there.
    fn select_exact(&self, selector: &Selector, to: &[Template], seen: Seen<'_>, selection: &mut Selection) {
        let (source, text) = match &selector.pattern {
            Pattern::Tag(tag) if !seen.inventory.tags.contains_key(tag) => (Some(tag), tag.to_string()),
            Pattern::Digest(digest) if seen.inventory.holds(*digest) => {
                if selector.takes_push_time(*digest, seen) {
                    self.render(to, None, *digest, &Match::default(), seen, selection);
                }
                return;
            }
            Pattern::Digest(digest) => (None, digest.to_string()),
            _ => return,
        };
        let digest = if let Pattern::Digest(digest) = selector.pattern {
            Some(digest)
        } else {
            None
        };
        let found = Match::default();
        let scope = found.scope(source, digest, seen);
        let targets = to.iter().filter_map(|template| template.target(&scope).ok());
        selection.missing.push(MissingSource {
            source: text,
            targets: targets.collect(),
            span: selector.span,
        });
    }

    fn render(
        &self,
        to: &[Template],
        source: Option<&Tag>,
        digest: Digest,
        found: &Match<'_>,
        seen: Seen<'_>,
        selection: &mut Selection,
    ) {
        let scope = found.scope(source, Some(digest), seen);
        let first = selection.candidates.len();
        for template in to {
            match template.target(&scope) {
                Ok(target) => {
                    let own = selection.candidates.get(first..).unwrap_or_default();
                    if own.iter().all(|candidate| candidate.target != target) {
                        selection.candidates.push(Candidate {
                            source: source.cloned(),
                            digest,
                            target,
                            version: found.version.clone(),
                            span: template.span,
                        });
                    }
                }
                Err(reason) => {
                    let source = source.map_or_else(|| digest.to_string(), ToString::to_string);
                    selection
                        .problems
                        .push(self.bad_target(template, &source, reason, seen));
                }
            }
        }
    }

    fn bad_target(
        &self,
        template: &Template,
        source: &str,
        error: TargetError,
        seen: Seen<'_>,
    ) -> Diagnostic {
        let of = format!("rule {}: `{}:{source}`", quoted(&self.name), seen.repository);
        match error {
            TargetError::Invalid(invalid) => Diagnostic::error(
                Code::InvalidTarget,
                format!(
                    "{of} becomes {}, which is no valid tag: {}",
                    quoted(&invalid.text),
                    invalid.reason
                ),
            )
            .help("a filter may mend it, such as `${tag | replace('+', '-')}`"),
            TargetError::Unknown(noun) => Diagnostic::error(
                Code::TemplateFailed,
                format!("{of} has no target, since its {noun} is not known"),
            ),
            TargetError::Failed(reason) => Diagnostic::error(
                Code::TemplateFailed,
                format!("{of} has no target: {}", reason.escape_debug()),
            ),
        }
        .at(template.span, "")
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
        let seen = Seen {
            repository: &inventory.repository,
            inventory,
            now,
        };
        let tags = inventory.tags.iter().filter(|(_, on)| **on == digest);
        let ranks: Vec<Rank> = tags
            .filter_map(|(tag, _)| {
                let found = self.match_source(tag, digest, seen)?;
                Some(Rank {
                    version: found.version.or_else(|| version::of_tag(tag.as_str())),
                    tag: Some(tag.to_string()),
                    pushed_at,
                })
            })
            .collect();
        let (_, places) = rank::best(self.pick, &ranks)?;
        places.first().and_then(|&place| ranks.get(place).cloned())
    }

    /// How a tag is a source of this rule.
    fn match_source<'t>(&self, tag: &'t Tag, digest: Digest, seen: Seen<'_>) -> Option<Match<'t>> {
        match &self.mapping {
            Mapping::Select { from, .. } => match_any(from, tag, digest, seen),
            Mapping::Map(map) => map.contains(seen.repository, tag).then(Match::default),
        }
    }
}

fn match_any<'t>(from: &[Selector], tag: &'t Tag, digest: Digest, seen: Seen<'_>) -> Option<Match<'t>> {
    from.iter()
        .find_map(|selector| selector.match_tag(tag, digest, seen))
}

impl Selector {
    pub(super) fn exact_tag(&self) -> Option<&Tag> {
        match &self.pattern {
            Pattern::Tag(tag) => Some(tag),
            _ => None,
        }
    }
}

impl Match<'_> {
    fn scope<'a>(&'a self, source: Option<&'a Tag>, digest: Option<Digest>, seen: Seen<'a>) -> Scope<'a> {
        Scope {
            repository: seen.repository,
            source,
            digest,
            pushed_at: digest.and_then(|digest| seen.inventory.pushed_at(digest)),
            version: self.version.as_ref(),
            captures: self.captures.as_ref(),
        }
    }
}

impl Selection {
    fn add_row(&mut self, source: &Tag, digest: Option<Digest>, targets: &[(&Tag, Span)]) {
        let Some(digest) = digest else {
            self.missing.push(MissingSource {
                source: source.to_string(),
                targets: targets.iter().map(|(to, _)| (*to).clone()).collect(),
                span: targets.first().map(|(_, span)| *span).unwrap_or_default(),
            });
            return;
        };
        self.candidates.extend(targets.iter().map(|(to, span)| Candidate {
            source: Some(source.clone()),
            digest,
            target: (*to).clone(),
            version: None,
            span: *span,
        }));
    }
}

impl Candidate {
    /// What the candidate counts as when `pick` or `advance` compares it.
    ///
    /// Its version is the one that a semver selector saw in its tag, else the tag itself, with or without a `v`.
    pub fn rank(&self, inventory: &Inventory) -> Rank {
        let version = self.version.clone();
        Rank {
            version: version.or_else(|| version::of_tag(self.source.as_ref()?.as_str())),
            tag: self.source.as_ref().map(ToString::to_string),
            pushed_at: inventory.pushed_at(self.digest),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{digest, inventory, rule};
    use super::*;

    const NOW: Timestamp = Timestamp::constant(10_000_000, 0);

    /// What a rule makes of an inventory: `SOURCE>TARGET` each, then what is missing, then problems.
    fn selected(keys: &str, tags: &[&str]) -> String {
        let inventory = inventory(tags);
        let selection = rule(keys).select(&inventory.repository, &inventory, NOW);
        let candidates = selection.candidates.iter().map(|candidate| {
            let source = candidate.source.as_ref().map_or("-", Tag::as_str);
            format!("{source}>{}", candidate.target)
        });
        let missing = selection.missing.iter().map(|missing| {
            let targets: Vec<&str> = missing.targets.iter().map(Tag::as_str).collect();
            let source: String = missing.source.chars().take(12).collect();
            format!("no {source}({})", targets.join(","))
        });
        let problems = selection.problems.iter().map(|problem| problem.message.clone());
        candidates
            .chain(missing)
            .chain(problems)
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn selectors_select() {
        let tags = ["1.8.0", "1.8", "1.10.0-rc.1", "v1.9.0", "build-7-gabc", "latest"];
        for (keys, expected) in [
            ("from: 1.8.0, to: stable", "1.8.0>stable"),
            ("from: 1.8.*, to: '${tag}-x'", "1.8.0>1.8.0-x"),
            ("from: [latest, '1.8'], to: x", "1.8>x latest>x"),
            (
                "from: [latest, gone], to: ['${tag}-x', '${short_digest}']",
                "latest>latest-x latest>5e1e2bcac305 no gone(gone-x)",
            ),
            (
                "from: {regex: 'build-(\\d+)-g(?<commit>.*)'}, to: 'sha-${commit}.${1}'",
                "build-7-gabc>sha-abc.7",
            ),
            ("from: {regex: '1\\.8|1'}, to: x", "1.8>x"),
            (
                "from: {semver: '*'}, to: ['${major}', '${major}.${minor}']",
                "1.8.0>1 1.8.0>1.8",
            ),
            (
                "from: {semver: '*', prerelease: true}, to: '${semver}-${pre}'",
                "1.10.0-rc.1>1.10.0-rc.1-rc.1 1.8.0>1.8.0-",
            ),
            (
                "from: {semver: '>=1', prefix: v}, to: '${semver}'",
                "v1.9.0>1.9.0",
            ),
            (
                "from: {semver: '1.8', lenient: true}, to: '${semver}'",
                "1.8>1.8.0 1.8.0>1.8.0",
            ),
            (
                "from: {glob: '1*', exclude: ['*rc*', '1.8']}, to: '${tag}-x'",
                "1.8.0>1.8.0-x",
            ),
            ("from: nothing-*, to: x", ""),
            ("map: {latest: [b, a], gone: c}", "latest>a latest>b no gone(c)"),
            (
                "from: latest, to: ['x', '${tag | replace(\"latest\", \"x\")}']",
                "latest>x",
            ),
        ] {
            assert_eq!(selected(keys, &tags), expected, "{keys}");
        }
    }

    #[test]
    fn the_first_selector_that_matches_gives_the_captures() {
        let keys = "from: [{regex: '(\\d)\\.(\\d).*'}, {regex: '(.*)\\.(.*)'}], to: '${2}-${1}'";
        assert_eq!(selected(keys, &["1.2.3", "a.b"]), "1.2.3>2-1 a.b>b-a");
    }

    #[test]
    fn a_group_that_took_no_part_is_empty_and_may_be_called_like_a_part_of_a_version() {
        let keys = "from: [{regex: 'v(?<major>\\d+)(?<pre>-.*)?'}, {semver: '*'}], to: 'x${major}${pre}'";
        assert_eq!(
            selected(keys, &["v7", "v8-rc", "2.0.0"]),
            "2.0.0>x2 v7>x7 v8-rc>x8-rc"
        );
    }

    #[test]
    fn images_are_selected_by_digest_and_by_push_time() {
        let tags = ["old=a@100", "new=b@9000000", "unknown=c"];
        let by_digest = format!("from: {{digest: '{}'}}, to: 'x-${{short_digest}}'", digest("a"));
        assert_eq!(
            selected(&by_digest, &tags),
            format!("->x-{}", digest("a").short())
        );
        let gone = format!(
            "from: {{digest: '{}'}}, to: ['x-${{short_digest}}', y]",
            digest("gone")
        );
        assert_eq!(
            selected(&gone, &tags),
            format!(
                "no sha256:{}(x-{},y)",
                &digest("gone").short()[..5],
                digest("gone").short()
            )
        );
        for (keys, expected) in [
            ("from: {glob: '*', pushed_after: 30d}, to: x", "new>x"),
            ("from: {glob: '*', pushed_before: 4w}, to: x", "old>x"),
            (
                "from: {glob: '*', pushed_before: 1970-01-01T00:01:40Z}, to: x",
                "",
            ),
            (
                "from: {glob: '*', pushed_after: 1970-01-01T00:01:39Z, pushed_before: P30D}, to: x",
                "old>x",
            ),
            (
                "from: old, to: 'at-${pushed_at | date(\"%Y.%m.%d\")}'",
                "old>at-1970.01.01",
            ),
            (
                "from: unknown, to: 'at-${pushed_at | date(\"%Y\")}'",
                "rule `r`: `shop/api:unknown` has no target, since its push time is not known",
            ),
        ] {
            assert_eq!(selected(keys, &tags), expected, "{keys}");
        }
    }

    #[test]
    fn a_target_that_is_no_tag_names_rule_source_and_text() {
        assert_eq!(
            selected(
                "from: {regex: '(.*)-(.*)'}, to: '${2}${1 | int}'",
                &["1-a", "x-b"]
            ),
            "1-a>a1 rule `r`: `shop/api:x-b` has no target: invalid float literal"
        );
        assert_eq!(
            selected("from: {regex: '(x?).*'}, to: '${1}'", &["a"]),
            "rule `r`: `shop/api:a` becomes ``, which is no valid tag: it is empty"
        );
    }

    #[test]
    fn the_present_image_ranks_by_its_highest_tag_that_the_selectors_match() {
        let inventory = inventory(&[
            "1.8.0=a@5",
            "1.10.0=a",
            "2.0=a",
            "latest=a",
            "x=b",
            "1.9=c",
            "1.10=c",
        ]);
        let rank = |keys: &str, image: &str| {
            let rank = rule(keys).present_rank(&inventory, digest(image), NOW)?;
            Some(
                rank.tag
                    .unwrap_or_else(|| rank.pushed_at.unwrap().as_second().to_string()),
            )
        };
        let semver = "from: {semver: '*'}, to: latest, pick: highest";
        assert_eq!(rank(semver, "a").as_deref(), Some("1.10.0"));
        assert_eq!(rank(semver, "b"), None);
        assert_eq!(rank("from: '1.*', to: latest", "c").as_deref(), Some("1.10"));
        assert_eq!(
            rank("map: {1.8.0: latest, 1.7.0: latest}", "a").as_deref(),
            Some("1.8.0")
        );
        assert_eq!(
            rank("from: '*', to: latest, pick: newest", "a").as_deref(),
            Some("5")
        );
        assert_eq!(rank("from: '*', to: latest, pick: newest", "b"), None);
    }
}
