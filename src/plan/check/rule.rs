//! Rules: defaults, repositories, and which keys go together.

use super::Check;
use super::selector::provided;
use crate::diagnostic::{Code, Diagnostic, Span};
use crate::plan::file::{RuleFile, SelectorFile};
use crate::plan::glob::{self, Glob};
use crate::plan::reader::{OneOrMany, Spanned, Text};
use crate::plan::report::quoted;
use crate::plan::{Mapping, Pattern, RepositorySet, Rule, Selector, Template};

/// The last stage there may be.
const STAGE_MAX: u64 = 1_000;

impl Check<'_> {
    /// A checked rule; `None` if anything about it was reported.
    pub(super) fn rule(&mut self, file: &RuleFile) -> Option<Rule> {
        let registries = self.registries_of(file.registries.as_ref());
        let repositories = file
            .repositories
            .as_ref()
            .map(|entries| self.repositories(entries));
        let mapping = self.mapping(file, repositories.as_ref());
        let backup = self.backups(file, mapping.as_ref());
        let expect = self.expectations(file, mapping.as_ref());
        let stage = self.stage(file.stage);
        let mapping = mapping?;
        let name = file.name.as_ref()?;
        let remove_source = file.remove_source.is_some_and(|flag| flag.value);
        if let (Mapping::Select { from, .. }, true) = (&mapping, remove_source) {
            self.check_removable(from);
        }
        Some(Rule {
            name: name.text.clone(),
            span: name.span,
            registries,
            repositories: repositories?,
            pick: file.pick.map(|word| word.value).unwrap_or_default(),
            on_existing: file.on_existing.map(|word| word.value).unwrap_or_default(),
            on_missing: file.on_missing.map(|word| word.value),
            mapping,
            remove_source,
            backup,
            stage,
            expect,
        })
    }

    pub(super) fn check_rule_name(&mut self, name: &Text) {
        const NAME_CHARS_MAX: usize = 200;
        let is_plain = !name.text.trim().is_empty()
            && name.text.chars().count() <= NAME_CHARS_MAX
            && !name.text.chars().any(char::is_control);
        if !is_plain {
            let problem = Diagnostic::error(
                Code::InvalidRuleName,
                format!("{} cannot be the name of a rule", quoted(&name.text)),
            );
            let help = format!("a name is 1 to {NAME_CHARS_MAX} characters on one line");
            self.report.push(problem.at(name.span, "").help(help));
        }
    }

    fn stage(&mut self, stage: Option<Spanned<u64>>) -> u32 {
        let Some(stage) = stage else {
            return 0;
        };
        if let (Ok(number), true) = (u32::try_from(stage.value), stage.value <= STAGE_MAX) {
            return number;
        }
        let problem = Diagnostic::error(
            Code::InvalidValue,
            format!("`stage` goes from 0 to {STAGE_MAX}, not to {}", stage.value),
        );
        self.report.push(problem.at(stage.span, ""));
        0
    }

    fn repositories(&mut self, OneOrMany(entries): &OneOrMany<Text>) -> RepositorySet {
        let mut set = RepositorySet::default();
        for entry in entries {
            let excluded = entry.text.strip_prefix('!');
            let text = Text {
                text: excluded.unwrap_or(&entry.text).to_owned(),
                span: entry.span,
            };
            let Some(filled) = self.fill(&text) else {
                continue;
            };
            if filled.is_glob() {
                let glob = Glob::new(filled.into_pattern(glob::escape), text.span);
                let globs = if excluded.is_some() {
                    &mut set.excluded
                } else {
                    &mut set.globs
                };
                globs.extend(self.report.keep(glob));
            } else if let Some(name) = self.repository_name(&filled.into_text(), text.span) {
                match excluded {
                    Some(_) => {
                        let glob = Glob::new(glob::escape(name.as_str()), text.span);
                        set.excluded.extend(self.report.keep(glob));
                    }
                    None => set.exact.push((name, text.span)),
                }
            }
        }
        let only_takes_away = entries.iter().all(|entry| entry.text.starts_with('!'));
        if let (Some(first), true) = (entries.first(), only_takes_away) {
            let problem = Diagnostic::error(Code::NoRepositories, "`repositories` only takes away");
            self.report.push(
                problem
                    .at(first.span, "")
                    .help("name what it takes away from, such as `\"*\"`"),
            );
        }
        set
    }

    fn repository_name(&mut self, name: &str, span: Span) -> Option<crate::model::RepositoryName> {
        if name.contains(".dkr.ecr.") {
            let problem = Diagnostic::error(
                Code::InvalidRepository,
                format!(
                    "{} is the address of a registry, not the name of a repository",
                    quoted(name)
                ),
            );
            self.report.push(
                problem
                    .at(span, "")
                    .help("leave the registry's host away; registries are declared under `registries`"),
            );
            return None;
        }
        self.parse_at(name, span, Code::InvalidRepository)
    }

    fn check_removable(&mut self, from: &[Selector]) {
        for selector in from {
            if let Pattern::Digest(_) = selector.pattern {
                let problem = Diagnostic::error(
                    Code::ConflictingKeys,
                    "`remove_source` has no tag to remove where an image is selected by its digest",
                );
                self.report
                    .push(problem.at(selector.span, "").help("select the image by its tag"));
            }
        }
    }

    fn mapping(&mut self, file: &RuleFile, repositories: Option<&RepositorySet>) -> Option<Mapping> {
        let is_broken = |key| file.origin.broken.contains(&key);
        if ["from", "to", "map", "map_file"].into_iter().any(is_broken) {
            return None;
        }
        let has_from = file.from.is_some() || file.to.is_some();
        let kinds = [
            (
                "from",
                has_from,
                file.from
                    .as_ref()
                    .and_then(|from| from.0.first())
                    .map(SelectorFile::span),
            ),
            (
                "map",
                file.map.is_some(),
                file.map
                    .as_ref()
                    .and_then(|map| map.0.first())
                    .map(|(key, _)| key.span),
            ),
            (
                "map_file",
                file.map_file.is_some(),
                file.map_file.as_ref().map(|text| text.span),
            ),
        ];
        let mut given = kinds.iter().filter(|(_, is_given, _)| *is_given);
        let Some((kind, _, span)) = given.next() else {
            let problem = Diagnostic::error(Code::NoMapping, "the rule does not say which tags become which");
            self.report.push(
                problem
                    .at(file.origin.span, "")
                    .help("give it `from` and `to`, or `map`, or `map_file`"),
            );
            return None;
        };
        if let Some((other, _, other_span)) = given.next() {
            let problem = Diagnostic::error(
                Code::ConflictingKeys,
                format!("a rule has `{kind}` or `{other}`, not both"),
            );
            let problem = problem.at(other_span.unwrap_or(file.origin.span), "");
            self.report.push(problem.at(span.unwrap_or(file.origin.span), ""));
            return None;
        }
        match *kind {
            "from" => self.select(file),
            "map" => self.map(file.map.as_ref()?, file.origin.span).map(Mapping::Map),
            _ => self
                .map_file(file.map_file.as_ref()?, repositories)
                .map(Mapping::Map),
        }
    }

    fn select(&mut self, file: &RuleFile) -> Option<Mapping> {
        for (key, is_there, other) in [
            ("from", file.from.is_some(), "to"),
            ("to", file.to.is_some(), "from"),
        ] {
            if !is_there {
                let problem =
                    Diagnostic::error(Code::NeedsOtherKey, format!("`{other}` needs `{key}` beside it"));
                self.report.push(problem.at(file.origin.span, ""));
            }
        }
        let from = file.from.iter().flat_map(|from| &from.0);
        let selectors: Vec<Option<Selector>> = from.map(|selector| self.selector(selector)).collect();
        // What a broken selector would have provided is not known, so targets are not held against it.
        let selectors: Vec<Selector> = selectors.into_iter().collect::<Option<_>>()?;
        let provided = provided(&selectors);
        let to = file.to.iter().flat_map(|to| &to.0);
        let templates: Vec<Option<Template>> = to.map(|text| self.target(text, &provided)).collect();
        file.from.as_ref()?;
        Some(Mapping::Select {
            from: selectors,
            to: templates.into_iter().collect::<Option<_>>()?,
        })
    }
}
