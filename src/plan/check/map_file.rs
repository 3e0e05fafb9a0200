//! `map_file`: tag by tag, from a table of `from,to` or `repository,from,to`.

use std::path::Path;

use csv::{ReaderBuilder, StringRecord, Trim};

use super::Check;
use crate::diagnostic::{Code, Diagnostic, Span};
use crate::plan::RepositorySet;
use crate::plan::map::{Row, TagMap};
use crate::plan::reader::{ENTRIES_MAX, Text};
use crate::plan::report::quoted;
use crate::yaml;

/// The columns that a mapping file may have.
const COLUMNS: [&[&str]; 2] = [&["from", "to"], &["repository", "from", "to"]];

impl Check<'_> {
    /// Reads a mapping file, whose path is relative to the folder of the plan file.
    pub(super) fn map_file(&mut self, file: &Text, repositories: Option<&RepositorySet>) -> Option<TagMap> {
        let folder = self.path.parent().unwrap_or(Path::new(""));
        let path = folder.join(&file.text);
        let source = match self.map_files.get(&path) {
            Some(source) => *source,
            None => self.read_map_file(&path, file.span),
        };
        self.map_files.insert(path, source);
        let source = source?;
        let text = self.sources.get(source)?.text.clone();
        let mut map = TagMap::default();
        let is_whole = self.read_rows(&text, source, repositories, &mut map);
        if map.is_empty() && is_whole {
            let problem = Diagnostic::warning(
                Code::EmptyMapFile,
                format!(
                    "{} has no rows, so that the rule does nothing",
                    quoted(&file.text)
                ),
            );
            self.report.push(problem.at(file.span, ""));
        }
        is_whole.then_some(map)
    }

    fn read_map_file(&mut self, path: &Path, span: Span) -> Option<u32> {
        let shown = path.display().to_string();
        let unreadable = |reason: String| {
            Diagnostic::error(
                Code::UnreadableMapFile,
                format!("cannot read {}: {reason}", quoted(&shown)),
            )
            .at(span, "")
            .help("the path is relative to the folder of the plan file")
        };
        let read = (self.read_file)(path).map_err(|error| unreadable(error.to_string()));
        let text = self.report.keep(read)?;
        if text.len() > yaml::BYTES_MAX {
            let reason = format!("it has {} bytes, {} are allowed", text.len(), yaml::BYTES_MAX);
            self.report.push(unreadable(reason));
            return None;
        }
        Some(self.sources.add(shown, text))
    }

    /// Reads all rows; false if any of them was reported.
    fn read_rows(
        &mut self,
        text: &str,
        source: u32,
        repositories: Option<&RepositorySet>,
        map: &mut TagMap,
    ) -> bool {
        let body = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut lines = Lines {
            text,
            source,
            offset: text.len() - body.len(),
        };
        let is_tsv = body
            .lines()
            .find(|line| is_row(line))
            .is_some_and(|line| line.contains('\t'));
        let mut reader = ReaderBuilder::new()
            .delimiter(if is_tsv { b'\t' } else { b',' })
            .comment(Some(b'#'))
            .trim(Trim::All)
            .flexible(true)
            .has_headers(false)
            .from_reader(body.as_bytes());
        let mut columns: Option<&[&str]> = None;
        let mut is_whole = true;
        for (number, record) in reader.records().enumerate() {
            let Ok(record) = record else {
                continue;
            };
            let span = lines.span(&record);
            if number >= ENTRIES_MAX {
                let problem = Diagnostic::error(
                    Code::BadRow,
                    format!("the mapping has more than {ENTRIES_MAX} rows"),
                );
                self.report.push(problem.at(span, ""));
                return false;
            }
            let names: Vec<String> = record.iter().map(str::to_lowercase).collect();
            let is_header = columns.is_none() && COLUMNS.iter().any(|columns| *columns == names);
            let own = *columns.get_or_insert_with(|| columns_of(&record));
            if !is_header {
                is_whole &= self.row(&record, own, span, repositories, map).is_some();
            }
        }
        is_whole
    }

    fn row(
        &mut self,
        record: &StringRecord,
        columns: &[&str],
        span: Span,
        repositories: Option<&RepositorySet>,
        map: &mut TagMap,
    ) -> Option<()> {
        if record.len() != columns.len() {
            let problem = Diagnostic::error(
                Code::BadRow,
                format!(
                    "the row has {} columns, {} are expected",
                    record.len(),
                    columns.len()
                ),
            );
            self.report.push(
                problem
                    .at(span, "")
                    .help("columns are `from,to` or `repository,from,to`, in all rows alike, separated by tabs or commas"),
            );
            return None;
        }
        let field = |name: &str| {
            columns
                .iter()
                .position(|column| *column == name)
                .and_then(|at| record.get(at))
        };
        let repository = match field("repository") {
            Some(name) => Some(self.parse_at(name, span, Code::InvalidRepository)?),
            None => None,
        };
        let from = self.parse_at(field("from")?, span, Code::InvalidTag);
        let to = self.parse_at(field("to")?, span, Code::InvalidTag);
        if let (Some(name), Some(set)) = (&repository, repositories)
            && !set.matches(name)
        {
            let problem = Diagnostic::error(
                Code::RowOutsideRule,
                format!(
                    "the row is for {}, which is none of the rule's repositories",
                    quoted(name.as_str())
                ),
            );
            self.report.push(
                problem
                    .at(span, "")
                    .help("add it to `repositories`, or take the row away"),
            );
        }
        let row = Row { to: to?, repository };
        self.add_row(map, from?, row, span);
        Some(())
    }
}

fn columns_of(record: &StringRecord) -> &'static [&'static str] {
    match record.len() {
        3 => COLUMNS[1],
        _ => COLUMNS[0],
    }
}

/// Whether a line is more than a blank or a comment.
fn is_row(line: &str) -> bool {
    !line.trim().is_empty() && !line.starts_with('#')
}

/// Where rows stand in their file.
struct Lines<'t> {
    text: &'t str,
    source: u32,
    /// How many bytes stand before what the reader reads.
    offset: usize,
}

impl Lines<'_> {
    /// The line that a row begins on: blank lines and comments, which the reader passes over, are before it.
    fn span(&mut self, record: &StringRecord) -> Span {
        let begun = record.position().map_or(0, csv::Position::byte);
        let mut start = self.offset + usize::try_from(begun).unwrap_or(usize::MAX);
        let rest = self.text.get(start..).unwrap_or_default();
        let mut len = 0;
        for line in rest.split_inclusive('\n') {
            if is_row(line) {
                len = line.trim_end().len();
                break;
            }
            start += line.len();
        }
        let byte = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        Span {
            source: self.source,
            start: byte(start),
            end: byte(start + len),
        }
    }
}
