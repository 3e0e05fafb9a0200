//! Selectors: their patterns compiled, and the names they provide.

use std::collections::BTreeMap;

use jiff::Timestamp;
use regex::bytes::Regex;
use semver::VersionReq;

use super::Check;
use super::names::Provided;
use crate::diagnostic::{Code, Diagnostic, Span};
use crate::plan::file::{SelectorFile, SelectorMapping};
use crate::plan::glob::{self, Glob};
use crate::plan::reader::{Origin, Text};
use crate::plan::report::quoted;
use crate::plan::target::Name;
use crate::plan::{Moment, Pattern, Selector, VersionPattern};

/// The kinds of selectors, in the order in which they are offered.
type Kinds<'f> = [(&'static str, Option<&'f Text>); 5];

impl Check<'_> {
    pub(super) fn selector(&mut self, file: &SelectorFile) -> Option<Selector> {
        match file {
            SelectorFile::Text(text) => {
                let filled = self.fill(text)?;
                let pattern = if filled.is_glob() {
                    let glob = Glob::new(filled.into_pattern(glob::escape), text.span);
                    Pattern::Glob(self.report.keep(glob)?)
                } else {
                    Pattern::Tag(self.exact_tag(&filled.into_text(), text.span)?)
                };
                Some(Selector {
                    pattern,
                    exclude: Vec::new(),
                    pushed_after: None,
                    pushed_before: None,
                    span: text.span,
                })
            }
            SelectorFile::Mapping(mapping) => self.selector_mapping(mapping),
        }
    }

    fn exact_tag(&mut self, text: &str, span: Span) -> Option<crate::model::Tag> {
        if text.starts_with("sha256:") {
            let problem = Diagnostic::error(
                Code::InvalidTag,
                format!("{} is a digest, not a tag", quoted(text)),
            );
            self.report.push(
                problem
                    .at(span, "")
                    .help("select an image by `{digest: sha256:…}`"),
            );
            return None;
        }
        self.parse_at(text, span, Code::InvalidTag)
    }

    fn selector_mapping(&mut self, file: &SelectorMapping) -> Option<Selector> {
        let kinds: Kinds<'_> = [
            ("tag", file.tag.as_ref()),
            ("glob", file.glob.as_ref()),
            ("regex", file.regex.as_ref()),
            ("semver", file.semver.as_ref()),
            ("digest", file.digest.as_ref()),
        ];
        let (kind, text) = self.one_kind(kinds, &file.origin)?;
        self.check_companions(file, kind);
        let exclude = file.exclude.iter().flat_map(|exclude| &exclude.0);
        let exclude: Vec<Option<Glob>> = exclude.map(|text| self.tag_glob(text)).collect();
        let pushed_after = self.moment(file.pushed_after.as_ref());
        let pushed_before = self.moment(file.pushed_before.as_ref());
        let pattern = match kind {
            "tag" => {
                let filled = self.fill_text(text)?;
                Pattern::Tag(self.exact_tag(&filled, text.span)?)
            }
            "glob" => {
                let pattern = self.fill(text)?.into_pattern(glob::escape);
                Pattern::Glob(self.report.keep(Glob::new(pattern, text.span))?)
            }
            "regex" => Pattern::Regex(self.regex(text)?),
            "semver" => Pattern::Semver(self.version_pattern(text, file)?),
            _ => {
                let filled = self.fill_text(text)?;
                Pattern::Digest(self.parse_at(&filled, text.span, Code::InvalidDigest)?)
            }
        };
        Some(Selector {
            pattern,
            exclude: exclude.into_iter().collect::<Option<_>>()?,
            pushed_after,
            pushed_before,
            span: text.span,
        })
    }

    fn one_kind<'f>(&mut self, kinds: Kinds<'f>, origin: &Origin) -> Option<(&'static str, &'f Text)> {
        let mut given = kinds
            .iter()
            .copied()
            .filter_map(|(kind, text)| Some((kind, text?)));
        let Some(first) = given.next() else {
            if kinds.iter().any(|(kind, _)| origin.broken.contains(kind)) {
                return None;
            }
            let problem = Diagnostic::error(Code::MissingKey, "the selector does not say what it selects");
            self.report.push(
                problem
                    .at(origin.span, "")
                    .help("give it one of `tag`, `glob`, `regex`, `semver` and `digest`"),
            );
            return None;
        };
        let (kind, text) = first;
        let Some((other, other_text)) = given.next() else {
            return Some(first);
        };
        let problem = Diagnostic::error(
            Code::ConflictingKeys,
            format!("a selector has `{kind}` or `{other}`, not both"),
        );
        self.report.push(
            problem
                .at(other_text.span, "")
                .at(text.span, "")
                .help("a list of selectors takes what any of them selects"),
        );
        None
    }

    /// Some keys only mean something beside certain others.
    fn check_companions(&mut self, file: &SelectorMapping, kind: &str) {
        let flag = |flag: Option<crate::plan::reader::Spanned<bool>>| flag.map(|flag| flag.span);
        let of_semver = [
            ("prefix", file.prefix.as_ref().map(|text| text.span)),
            ("prerelease", flag(file.prerelease)),
            ("lenient", flag(file.lenient)),
        ];
        for (key, span) in of_semver {
            if let (Some(span), false) = (span, kind == "semver") {
                let problem =
                    Diagnostic::error(Code::NeedsOtherKey, format!("`{key}` needs `semver` beside it"));
                self.report.push(problem.at(span, ""));
            }
        }
        let excluded = file.exclude.as_ref().and_then(|exclude| exclude.0.first());
        if let (Some(text), "digest") = (excluded, kind) {
            let problem = Diagnostic::error(
                Code::ConflictingKeys,
                "an image selected by its digest has no tag that `exclude` could match",
            );
            self.report.push(problem.at(text.span, ""));
        }
    }

    fn regex(&mut self, text: &Text) -> Option<Regex> {
        let pattern = self.fill(text)?.into_pattern(regex::escape);
        let bad = |reason: &str| {
            Diagnostic::error(
                Code::BadRegex,
                format!("{} is no expression that can be read: {reason}", quoted(&pattern)),
            )
            .help("the syntax is that of Rust's `regex` crate; look-around and back-references are not in it")
        };
        let regex = match self.compiled.regex(&pattern) {
            Ok(regex) => regex,
            Err(refused) => {
                let problem = refused.into_diagnostic(bad)?;
                self.report.push(problem.at(text.span, ""));
                return None;
            }
        };
        for group in regex.capture_names().flatten() {
            self.check_group_name(group, text.span);
        }
        Some(regex)
    }

    /// A capture may be called as a part of a version is, since there is none beside it; else its name must be its own.
    fn check_group_name(&mut self, group: &str, span: Span) {
        let is_built_in = group == "tag" || Name::OF_IMAGES.iter().any(|(name, _)| *name == group);
        let variable = self.variables.span(group);
        if !is_built_in && variable.is_none() {
            return;
        }
        let problem = Diagnostic::error(
            Code::CaptureHidesName,
            format!(
                "the capture {} hides what `${{{group}}}` means otherwise",
                quoted(group)
            ),
        );
        let mut problem = problem.at(span, "").help("give the capture another name");
        if let Some(span) = variable {
            problem = problem.at(span, "this variable");
        }
        self.report.push(problem);
    }

    fn version_pattern(&mut self, text: &Text, file: &SelectorMapping) -> Option<VersionPattern> {
        let filled = self.fill_text(text)?;
        let prefix = match &file.prefix {
            Some(prefix) => self.fill_text(prefix)?,
            None => String::new(),
        };
        let requirement = VersionReq::parse(&filled).map_err(|error| {
            Diagnostic::error(
                Code::BadRequirement,
                format!("{} is no requirement of versions: {error}", quoted(&filled)),
            )
            .at(text.span, "")
            .help("comparisons are separated by commas, as in `>=1.8, <2`; `*` takes every version")
        });
        Some(VersionPattern {
            requirement: self.report.keep(requirement)?,
            prefix,
            prerelease: file.prerelease.is_some_and(|flag| flag.value),
            lenient: file.lenient.is_some_and(|flag| flag.value),
        })
    }

    fn moment(&mut self, text: Option<&Text>) -> Option<Moment> {
        let text = text?;
        let filled = self.fill_text(text)?;
        let moment = filled.parse::<Timestamp>().map(Moment::At).ok().or_else(|| {
            let span: jiff::Span = filled.parse().ok()?;
            let is_span_back = span.is_positive();
            is_span_back.then_some(Moment::Ago(span))
        });
        if moment.is_none() {
            let problem = Diagnostic::error(
                Code::InvalidMoment,
                format!("{} is neither a moment nor a span of time", quoted(&filled)),
            );
            self.report.push(
                problem
                    .at(text.span, "")
                    .help("write RFC 3339, such as `2024-01-01T00:00:00Z`, or a span that counts back from now, such as `30d`"),
            );
        }
        moment
    }
}

/// The names that every one of these selectors provides, and those that only some do.
pub(super) fn provided(selectors: &[Selector]) -> Provided {
    let own: Vec<BTreeMap<String, Name>> = selectors.iter().map(provided_by).collect();
    let mut counts: BTreeMap<&str, (usize, &Name)> = BTreeMap::new();
    for (name, meaning) in own.iter().flatten() {
        counts.entry(name).or_insert((0, meaning)).0 += 1;
    }
    let mut provided = Provided::default();
    for (name, (count, meaning)) in counts {
        let lacking = own
            .iter()
            .position(|own| count < selectors.len() && !own.contains_key(name));
        match lacking.and_then(|at| selectors.get(at)) {
            Some(selector) => {
                provided.partly.insert(name.to_owned(), selector.span);
            }
            None => {
                provided.names.insert(name.to_owned(), meaning.clone());
            }
        }
    }
    provided
}

fn provided_by(selector: &Selector) -> BTreeMap<String, Name> {
    let owned = |(name, meaning): &(&str, Name)| ((*name).to_owned(), meaning.clone());
    let mut names: BTreeMap<String, Name> = BTreeMap::new();
    match &selector.pattern {
        Pattern::Tag(_) | Pattern::Glob(_) | Pattern::Digest(_) => {}
        Pattern::Semver(_) => names.extend(Name::OF_VERSIONS.iter().map(owned)),
        Pattern::Regex(regex) => {
            for (number, group) in regex.capture_names().enumerate() {
                names.insert(number.to_string(), Name::Group(number));
                names.extend(group.map(|group| (group.to_owned(), Name::of_group(group))));
            }
        }
    }
    names.extend(Name::OF_IMAGES.iter().map(owned));
    if !matches!(selector.pattern, Pattern::Digest(_)) {
        names.insert("tag".to_owned(), Name::Tag);
    }
    names
}
