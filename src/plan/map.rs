//! Mappings tag by tag: `map`, and the TSV and CSV files of `map_file`.

use crate::diagnostic::Span;
use crate::model::{RepositoryName, Tag};

/// Sources and targets, row by row.
#[derive(Debug, Clone, Default)]
pub struct TagMap {
    /// The rows, in the order they are written.
    pub rows: Vec<Row>,
}

/// One source with one target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The repository it is for; all of the rule's if absent.
    pub repository: Option<RepositoryName>,
    /// The source.
    pub from: Tag,
    /// The target.
    pub to: Tag,
    /// Where the target stands, in the plan file or in the mapping file.
    pub span: Span,
}

impl TagMap {
    /// The rows that are for this repository.
    pub fn rows_for<'a>(&'a self, repository: &'a RepositoryName) -> impl Iterator<Item = &'a Row> {
        self.rows
            .iter()
            .filter(move |row| row.repository.as_ref().is_none_or(|name| name == repository))
    }
}
