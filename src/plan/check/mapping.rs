//! `map`: tag by tag, in the plan file itself.

use super::Check;
use crate::diagnostic::{Code, Diagnostic, Span};
use crate::model::Tag;
use crate::plan::map::{Row, TagMap};
use crate::plan::reader::{Entries, OneOrMany, Text};
use crate::plan::report::quoted;

impl Check<'_> {
    pub(super) fn map(&mut self, Entries(entries): &Entries<OneOrMany<Text>>, rule: Span) -> Option<TagMap> {
        let mut map = TagMap::default();
        let mut is_whole = true;
        for (from, to) in entries {
            let source: Option<Tag> = self.map_tag(from);
            is_whole &= to.is_some();
            for text in to.iter().flat_map(|OneOrMany(to)| to) {
                let target = self.map_tag(text);
                is_whole &= target.is_some();
                if let (Some(from), Some(to)) = (source.clone(), target) {
                    self.add_row(&mut map, from, Row { to, repository: None }, text.span);
                }
            }
            is_whole &= source.is_some();
        }
        if entries.is_empty() {
            let problem = Diagnostic::error(Code::EmptyList, "`map` is an empty mapping");
            self.report.push(
                problem
                    .at(rule, "")
                    .help("name at least one tag and what it becomes"),
            );
        }
        is_whole.then_some(map)
    }

    fn map_tag(&mut self, text: &Text) -> Option<Tag> {
        let filled = self.fill_text(text)?;
        self.parse_at(&filled, text.span, Code::InvalidTag)
    }

    pub(super) fn add_row(&mut self, map: &mut TagMap, from: Tag, row: Row, span: Span) {
        self.check_pullable(&row.to, span);
        let message = format!(
            "that {} becomes {} is said twice",
            quoted(from.as_str()),
            quoted(row.to.as_str())
        );
        if let Err(first) = map.add(from, row, span) {
            let problem = Diagnostic::warning(Code::DuplicateRow, message);
            self.report.push(
                problem
                    .at(span, "again here")
                    .at(first, "first here")
                    .help("take one of them away"),
            );
        }
    }
}
