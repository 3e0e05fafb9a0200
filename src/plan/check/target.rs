//! Targets, and what is said about them beside: `backup` and `expect`.

use std::collections::{BTreeMap, BTreeSet};

use super::Check;
use super::names::Provided;
use crate::diagnostic::{Code, Diagnostic, Span};
use crate::model::{Tag, wildcard_matches};
use crate::plan::file::RuleFile;
use crate::plan::reader::{Entries, Text};
use crate::plan::report::quoted;
use crate::plan::target::{Piece, Template};
use crate::plan::{Backup, Expect, Expected, Mapping};

impl Check<'_> {
    pub(super) fn target(&mut self, text: &Text, provided: &Provided) -> Option<Template> {
        let template = self.template(text, Some(provided))?;
        if let Some(constant) = template.constant() {
            let tag = self.parse_at(&constant, text.span, Code::InvalidTag)?;
            self.check_pullable(&tag, text.span);
            return Some(template);
        }
        // A character that no tag can have stays in every target.
        let literals = template.pieces.iter().filter_map(|piece| match piece {
            Piece::Text { text, .. } => Some(text.as_str()),
            Piece::Name(_) | Piece::Expression { .. } => None,
        });
        for literal in literals {
            self.parse_at::<Tag>(literal, text.span, Code::InvalidTag)?;
        }
        Some(template)
    }

    /// Warns of a tag that ECR takes and clients do not.
    pub(super) fn check_pullable(&mut self, tag: &Tag, span: Span) {
        if !tag.is_pullable() {
            let problem = Diagnostic::warning(
                Code::UnpullableTag,
                format!(
                    "ECR takes the tag {}, but nobody can pull it",
                    quoted(tag.as_str())
                ),
            );
            self.report.push(
                problem
                    .at(span, "")
                    .help("clients take up to 128 characters, not beginning with `.` or `-`"),
            );
        }
    }

    pub(super) fn backups(&mut self, file: &RuleFile, mapping: Option<&Mapping>) -> Vec<Backup> {
        let entries = self.of_targets(
            file.backup.as_ref(),
            mapping,
            (Code::BackupNotATarget, "backup", "its backup would never be made"),
        );
        let mut backups = Vec::new();
        for (target, value, span) in entries {
            let Some(tag) = self.tag_of(value) else {
                continue;
            };
            if tag == target {
                let problem = Diagnostic::error(
                    Code::BackupOfItself,
                    format!("{} cannot be its own backup", quoted(target.as_str())),
                );
                self.report
                    .push(problem.at(value.span, "").help("name another tag"));
            }
            self.check_pullable(&tag, value.span);
            backups.push(Backup { target, tag, span });
        }
        backups
    }

    pub(super) fn expectations(&mut self, file: &RuleFile, mapping: Option<&Mapping>) -> Vec<Expect> {
        let entries = self.of_targets(
            file.expect.as_ref(),
            mapping,
            (
                Code::ExpectNotATarget,
                "expect",
                "nothing would ever be expected of it",
            ),
        );
        let mut expectations = Vec::new();
        for (target, value, span) in entries {
            let Some(filled) = self.fill_text(value) else {
                continue;
            };
            let place = match filled.as_str() {
                "absent" => Some(Expected::Absent),
                text if text.starts_with("sha256:") => self
                    .parse_at(text, value.span, Code::InvalidDigest)
                    .map(Expected::Digest),
                text => self
                    .parse_at(text, value.span, Code::InvalidTag)
                    .map(Expected::Tag),
            };
            expectations.extend(place.map(|place| Expect { target, place, span }));
        }
        expectations
    }

    fn tag_of(&mut self, text: &Text) -> Option<Tag> {
        let filled = self.fill_text(text)?;
        self.parse_at(&filled, text.span, Code::InvalidTag)
    }

    /// The entries of `backup` or `expect`, whose keys must be targets of the rule.
    fn of_targets<'f>(
        &mut self,
        entries: Option<&'f Entries<Text>>,
        mapping: Option<&Mapping>,
        (code, key, never): (Code, &str, &str),
    ) -> Vec<(Tag, &'f Text, Span)> {
        let mut read: BTreeMap<Tag, (&Text, Span)> = BTreeMap::new();
        let mut targets = None;
        for (name, value) in entries.into_iter().flat_map(|entries| &entries.0) {
            let (Some(target), Some(value)) = (self.tag_of(name), value) else {
                continue;
            };
            let targets = targets.get_or_insert_with(|| mapping.map(Targets::of));
            if targets.as_ref().is_some_and(|targets| !targets.contains(&target)) {
                let problem = Diagnostic::error(
                    code,
                    format!(
                        "{} is no target of the rule, so that {never}",
                        quoted(target.as_str())
                    ),
                );
                self.report.push(
                    problem
                        .at(name.span, "")
                        .help("its keys are targets as they are when rendered"),
                );
            }
            if let Some((_, first)) = read.get(&target) {
                let problem = Diagnostic::error(
                    Code::DuplicateKey,
                    format!("two keys of `{key}` are both {}", quoted(target.as_str())),
                );
                self.report
                    .push(problem.at(name.span, "again here").at(*first, "first here"));
                continue;
            }
            read.insert(target, (value, name.span));
        }
        let read = read.into_iter();
        read.map(|(target, (value, span))| (target, value, span))
            .collect()
    }
}

/// What the targets of a rule can be called.
struct Targets<'m> {
    exact: BTreeSet<&'m str>,
    /// Patterns of the targets, in which `*` stands for what is not known yet.
    shapes: Vec<String>,
}

impl<'m> Targets<'m> {
    fn of(mapping: &'m Mapping) -> Self {
        match mapping {
            Mapping::Map(map) => Self {
                exact: map.targets().map(Tag::as_str).collect(),
                shapes: Vec::new(),
            },
            Mapping::Select { to, .. } => Self {
                exact: BTreeSet::new(),
                shapes: to.iter().map(shape).collect(),
            },
        }
    }

    fn contains(&self, target: &Tag) -> bool {
        let text = target.as_str();
        self.exact.contains(text) || self.shapes.iter().any(|shape| wildcard_matches(shape, text))
    }
}

/// What a template can render to, as far as its text says; no tag has a `*` of its own.
fn shape(template: &Template) -> String {
    let pieces = template.pieces.iter().map(|piece| match piece {
        Piece::Text { text, .. } => text.as_str(),
        Piece::Name(_) | Piece::Expression { .. } => "*",
    });
    pieces.collect()
}
