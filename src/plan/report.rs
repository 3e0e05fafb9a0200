//! What is found wrong while plan files are read and checked, and how texts of the user are shown in messages.

use std::borrow::Cow;

use crate::diagnostic::{self, Code, Diagnostic, Severity};

/// The most diagnostics that are kept; a file with more needs no longer list to be mended.
const DIAGNOSTICS_MAX: usize = 1_000;

/// Collects diagnostics, so that every mistake is reported and not the first alone.
#[derive(Debug, Default)]
pub(super) struct Report {
    diagnostics: Vec<Diagnostic>,
    left_out: usize,
    has_errors: bool,
}

impl Report {
    pub(super) fn push(&mut self, diagnostic: Diagnostic) {
        self.has_errors |= diagnostic.severity == Severity::Error;
        if self.is_full() {
            self.left_out += 1;
        } else {
            self.diagnostics.push(diagnostic);
        }
    }

    /// Whether nothing more is kept, so that making a message is in vain.
    pub(super) fn is_full(&self) -> bool {
        self.diagnostics.len() >= DIAGNOSTICS_MAX
    }

    /// Counts an error that is not made into a message.
    pub(super) fn leave_out(&mut self) {
        self.has_errors = true;
        self.left_out += 1;
    }

    /// Adds what another report holds.
    pub(super) fn append(&mut self, other: Self) {
        self.left_out += other.left_out;
        other
            .diagnostics
            .into_iter()
            .for_each(|diagnostic| self.push(diagnostic));
    }

    /// Gives the value, or reports why there is none.
    pub(super) fn keep<T>(&mut self, result: Result<T, Diagnostic>) -> Option<T> {
        result.map_err(|diagnostic| self.push(diagnostic)).ok()
    }

    pub(super) fn has_errors(&self) -> bool {
        self.has_errors
    }

    /// The diagnostics in the order they are reported.
    pub(super) fn into_sorted(mut self) -> Vec<Diagnostic> {
        diagnostic::sort(&mut self.diagnostics);
        if self.left_out > 0 {
            let last = self.diagnostics.last().and_then(|last| last.labels.first());
            let mut more = Diagnostic::error(
                Code::TooManyProblems,
                format!("{} more problems are not listed", self.left_out),
            )
            .help("mend the ones above first");
            more.labels.extend(last.cloned());
            self.diagnostics.push(more);
        }
        self.diagnostics
    }
}

/// A text of the user in backticks: shortened, and with nothing in it that a terminal would act upon.
pub(super) fn quoted(text: &str) -> String {
    const SHOWN_CHARS_MAX: usize = 140;
    let mut shown = String::from("`");
    for c in text.chars().take(SHOWN_CHARS_MAX) {
        match c {
            '\'' | '"' | '\\' => shown.push(c),
            _ => shown.extend(c.escape_debug()),
        }
    }
    if text.chars().nth(SHOWN_CHARS_MAX).is_some() {
        shown.push('…');
    }
    shown.push('`');
    shown
}

/// Names in backticks, as a list: `a`, `b`, `c`.
pub(super) fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let quoted: Vec<String> = names.into_iter().map(quoted).collect();
    quoted.join(", ")
}

/// The name that was probably meant by this one.
pub(super) fn nearest<'a>(written: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    const COMPARED_BYTES_MAX: usize = 64;
    const SIMILARITY_MIN: f64 = 0.75;
    if written.len() > COMPARED_BYTES_MAX {
        return None;
    }
    let similarity = |name: &str| {
        strsim::normalized_damerau_levenshtein(&written.to_lowercase(), name)
            .max(strsim::jaro_winkler(written, name) - 0.1)
    };
    names
        .into_iter()
        .map(|name| (similarity(name), name))
        .filter(|(similarity, _)| *similarity >= SIMILARITY_MIN)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, name)| name)
}

/// A help line that proposes the nearest name, or says something else.
pub(super) fn did_you_mean<'a>(
    written: &str,
    names: impl IntoIterator<Item = &'a str>,
    otherwise: impl Into<Cow<'static, str>>,
) -> String {
    match nearest(written, names) {
        Some(name) => format!("did you mean `{name}`?"),
        None => otherwise.into().into_owned(),
    }
}
