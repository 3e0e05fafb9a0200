//! What is wrong with a plan file: data only, drawn by `render`.
//!
//! A diagnostic is about what the user wrote: there may be many, each points into the YAML, and all are reported.
//! An error about the world (a registry that denies, a disk that is full) is never a diagnostic.

use std::ops::Range;

mod code;

pub use code::Code;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Nothing can be done before it is mended.
    Error,
    /// A rule that the user set up forbids it: a protected tag, a limit, an `expect`.
    Refusal,
    /// It can be done, and may not be what was meant.
    Warning,
}

impl Severity {
    /// The word that messages and JSON use; a refusal is an error to whoever reads it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error | Self::Refusal => "error",
            Self::Warning => "warning",
        }
    }
}

/// One message about a plan file, with the places it speaks of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// The kind of mistake.
    pub code: Code,
    /// How bad it is.
    pub severity: Severity,
    /// What happened, in lower case, with names in backticks and no full stop.
    pub message: String,
    /// The places in the YAML; the first is the one to look at.
    pub labels: Vec<Label>,
    /// What to do about it.
    pub help: Option<String>,
}

/// A place in a plan file and what is to be said about it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Label {
    /// The place.
    pub span: Span,
    /// What to say there; may be empty.
    pub text: String,
}

/// A range of bytes in one of the sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span {
    /// The index of the file in [`Sources`].
    pub source: u32,
    /// The first byte.
    pub start: u32,
    /// The byte after the last.
    pub end: u32,
}

impl Span {
    /// The range of bytes in its file.
    pub fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

impl Diagnostic {
    /// An error of this kind.
    pub fn error(code: Code, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, code, message)
    }

    /// A refusal of this kind.
    pub fn refusal(code: Code, message: impl Into<String>) -> Self {
        Self::new(Severity::Refusal, code, message)
    }

    /// A warning of this kind.
    pub fn warning(code: Code, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, code, message)
    }

    fn new(severity: Severity, code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            severity,
            message: message.into(),
            labels: Vec::new(),
            help: None,
        }
    }

    /// Points at a place; the first place is the main one.
    #[must_use]
    pub fn at(mut self, span: Span, text: impl Into<String>) -> Self {
        self.labels.push(Label {
            span,
            text: text.into(),
        });
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// The order in which diagnostics are reported: by place, then by severity, code and message.
pub fn sort(diagnostics: &mut Vec<Diagnostic>) {
    diagnostics.sort_by(|a, b| {
        let key = |d: &Diagnostic| (d.labels.first().map(|label| label.span), d.severity, d.code);
        key(a)
            .cmp(&key(b))
            .then_with(|| a.message.cmp(&b.message))
            .then_with(|| a.labels.cmp(&b.labels))
    });
    diagnostics.dedup();
}

/// The texts that spans point into.
#[derive(Debug, Clone, Default)]
pub struct Sources(Vec<Source>);

/// One text that was read, under the name the user knows it by.
#[derive(Debug, Clone)]
pub struct Source {
    /// The path as it was given; `-` for standard input.
    pub path: String,
    /// The whole text.
    pub text: String,
    /// The byte each line begins at: a file may have ten thousand mistakes, and each asks for its lines.
    line_starts: Vec<usize>,
}

/// A position as editors count: lines and columns from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// The byte, from 0.
    pub byte: usize,
}

impl Sources {
    /// Adds a text and gives the index that its spans carry.
    pub fn add(&mut self, path: impl Into<String>, text: impl Into<String>) -> u32 {
        let text = text.into();
        let line_starts = std::iter::once(0)
            .chain(text.match_indices('\n').map(|(at, _)| at + 1))
            .collect();
        self.0.push(Source {
            path: path.into(),
            text,
            line_starts,
        });
        u32::try_from(self.0.len() - 1).unwrap_or(u32::MAX)
    }

    /// The source with this index.
    pub fn get(&self, index: u32) -> Option<&Source> {
        self.0.get(index as usize)
    }

    /// All sources, in the order they were added.
    pub fn iter(&self) -> impl Iterator<Item = &Source> {
        self.0.iter()
    }

    /// The file, the beginning and the end of a span.
    pub fn locate(&self, span: Span) -> Option<(&Source, Position, Position)> {
        let source = self.get(span.source)?;
        Some((
            source,
            source.position(span.range().start),
            source.position(span.range().end),
        ))
    }
}

impl Source {
    /// Where a byte stands; one inside a character counts as the first of it.
    pub fn position(&self, byte: usize) -> Position {
        let byte = self.text.floor_char_boundary(byte);
        let line = self.line_starts.partition_point(|start| *start <= byte);
        let start = self.line_starts.get(line - 1).copied().unwrap_or_default();
        let before = self.text.get(start..byte).unwrap_or_default();
        Position {
            line,
            column: before.chars().count() + 1,
            byte,
        }
    }

    /// The bytes of a line, counted from 1, without its end; empty past the last.
    pub fn line(&self, line: usize) -> Range<usize> {
        let start = line
            .checked_sub(1)
            .and_then(|index| self.line_starts.get(index))
            .copied()
            .unwrap_or(self.text.len());
        let end = self
            .line_starts
            .get(line)
            .map_or(self.text.len(), |next| next - 1);
        start..end
    }
}
