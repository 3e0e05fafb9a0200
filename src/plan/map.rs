//! Mappings tag by tag, from `map` or `map_file`.

use std::collections::BTreeMap;

use crate::diagnostic::Span;
use crate::model::{RepositoryName, Tag};

/// Sources with their targets.
#[derive(Debug, Clone, Default)]
pub struct TagMap {
    /// By source: what it becomes, and where that stands, in the plan file or in the mapping file.
    rows: BTreeMap<Tag, BTreeMap<Row, Span>>,
}

/// What a source becomes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Row {
    /// The target.
    pub(super) to: Tag,
    /// The repository it is for; all of the rule's if absent.
    pub(super) repository: Option<RepositoryName>,
}

impl TagMap {
    /// Adds a target to a source; `Err` gives the place where the same stands already.
    pub(super) fn add(&mut self, from: Tag, row: Row, span: Span) -> Result<(), Span> {
        let rows = self.rows.entry(from).or_default();
        if let Some(first) = rows.get(&row) {
            return Err(*first);
        }
        rows.insert(row, span);
        Ok(())
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Whether this tag is a source in this repository.
    pub fn contains(&self, repository: &RepositoryName, tag: &Tag) -> bool {
        let rows = self.rows.get(tag).into_iter().flat_map(BTreeMap::keys);
        rows.into_iter().any(|row| row.is_for(repository))
    }

    /// Every target, of every repository.
    pub fn targets(&self) -> impl Iterator<Item = &Tag> {
        self.rows.values().flat_map(BTreeMap::keys).map(|row| &row.to)
    }

    /// The sources that a repository has, each with its targets and their places, in the order of their names.
    pub fn sources<'a>(
        &'a self,
        repository: &'a RepositoryName,
    ) -> impl Iterator<Item = (&'a Tag, Vec<(&'a Tag, Span)>)> {
        self.rows.iter().filter_map(move |(from, rows)| {
            let own = rows.iter().filter(|(row, _)| row.is_for(repository));
            let targets: Vec<_> = own.map(|(row, span)| (&row.to, *span)).collect();
            (!targets.is_empty()).then_some((from, targets))
        })
    }
}

impl Row {
    fn is_for(&self, repository: &RepositoryName) -> bool {
        self.repository.as_ref().is_none_or(|name| name == repository)
    }
}
