//! What `${...}` names: variables everywhere, and in targets what the source provides.

use std::collections::BTreeMap;
use std::ops::Range;

use super::Check;
use crate::diagnostic::{Code, Diagnostic, Span};
use crate::plan::glob;
use crate::plan::interpolate::{self, Part};
use crate::plan::reader::Text;
use crate::plan::report::{did_you_mean, listed, quoted};
use crate::plan::target::{Name, Piece, Template};

/// The most bytes of a text with `${...}` in it.
const TEMPLATE_BYTES_MAX: usize = 4_000;

/// A text with its variables filled in, piece by piece.
#[derive(Debug)]
pub(super) struct Filled(Vec<FilledPiece>);

#[derive(Debug)]
struct FilledPiece {
    text: String,
    /// Whether it is the value of a variable, which is never a pattern.
    is_value: bool,
}

impl Filled {
    /// Whether it is a pattern, its `${...}` taken out.
    pub(super) fn is_glob(&self) -> bool {
        self.0
            .iter()
            .any(|piece| !piece.is_value && glob::is_glob(&piece.text))
    }

    /// The text, values as they are.
    pub(super) fn into_text(self) -> String {
        self.into_pattern(str::to_owned)
    }

    /// The text of a pattern, in which values are written so that they mean themselves.
    pub(super) fn into_pattern(self, escape: impl Fn(&str) -> String) -> String {
        let pieces = self.0.into_iter();
        pieces
            .map(|piece| {
                if piece.is_value {
                    escape(&piece.text)
                } else {
                    piece.text
                }
            })
            .collect()
    }
}

/// The names that a source provides to the targets of its rule.
#[derive(Debug, Clone, Default)]
pub(super) struct Provided {
    pub(super) names: BTreeMap<String, Name>,
    /// Names that some selectors provide and others do not, with a selector that does not.
    pub(super) partly: BTreeMap<String, Span>,
}

impl Check<'_> {
    /// Fills the variables of a text in; `None` if something about them was reported.
    pub(super) fn fill(&mut self, text: &Text) -> Option<Filled> {
        let template = self.template(text, None)?;
        let pieces = template.pieces.into_iter().filter_map(|piece| match piece {
            Piece::Text { text, is_value } => Some(FilledPiece { text, is_value }),
            Piece::Name(_) | Piece::Expression { .. } => None,
        });
        Some(Filled(pieces.collect()))
    }

    /// Fills the variables of a text in, which is no pattern.
    pub(super) fn fill_text(&mut self, text: &Text) -> Option<String> {
        self.fill(text).map(Filled::into_text)
    }

    /// Reads a template; without `provided`, it can name variables alone.
    pub(super) fn template(&mut self, text: &Text, provided: Option<&Provided>) -> Option<Template> {
        let is_long = text.text.len() > TEMPLATE_BYTES_MAX && text.text.contains("${");
        if is_long {
            let message = format!(
                "the template has {} bytes, {TEMPLATE_BYTES_MAX} are allowed",
                text.text.len()
            );
            self.report
                .push(Diagnostic::error(Code::BadTemplate, message).at(text.span, ""));
            return None;
        }
        let parts = match interpolate::split(&text.text) {
            Ok(parts) => parts,
            Err(malformed) => {
                let problem = Diagnostic::error(Code::BadTemplate, malformed.reason);
                let span = self.within(text, malformed.range);
                self.report
                    .push(problem.at(span, "").help("a literal `${` is written `$${`"));
                return None;
            }
        };
        // Every part is looked at before the first that failed ends it, so that all are reported.
        let pieces: Vec<Option<Piece>> = parts
            .into_iter()
            .map(|part| match part {
                Part::Literal(text) => Some(Piece::Text {
                    text,
                    is_value: false,
                }),
                Part::Expression { text: inner, range } => {
                    let span = self.within(text, range);
                    self.piece(&inner, span, provided)
                }
            })
            .collect();
        Some(Template {
            text: text.text.clone(),
            span: text.span,
            pieces: pieces.into_iter().collect::<Option<_>>()?,
        })
    }

    fn piece(&mut self, inner: &str, span: Span, provided: Option<&Provided>) -> Option<Piece> {
        if inner
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        {
            if let Some(name) = provided.and_then(|provided| provided.names.get(inner)) {
                return Some(Piece::Name(name.clone()));
            }
            if self.variables.contains(inner) {
                let text = self.variables.use_value(inner)?.to_owned();
                return Some(Piece::Text { text, is_value: true });
            }
        }
        let expression = match self.compiled.expression(inner) {
            Ok(expression) => expression,
            Err(refused) => {
                let problem = refused.into_diagnostic(|reason| bad_expression(inner, reason))?;
                self.report.push(problem.at(span, ""));
                return None;
            }
        };
        let mut names = Vec::new();
        let mut variables = Vec::new();
        let mut is_known = true;
        for name in expression.names() {
            if let Some(known) = provided.and_then(|provided| provided.names.get(name)) {
                names.push((name.clone(), known.clone()));
            } else if self.variables.contains(name) {
                let value = self.variables.use_value(name).map(str::to_owned);
                is_known &= value.is_some();
                variables.extend(value.map(|value| (name.clone(), value)));
            } else {
                is_known = false;
                self.unknown_name(name, span, provided);
            }
        }
        is_known.then_some(())?;
        let piece = Piece::Expression {
            expression,
            names,
            variables,
        };
        match piece.try_out() {
            Ok(Some(text)) => Some(Piece::Text { text, is_value: true }),
            Ok(None) => Some(piece),
            Err(reason) => {
                self.report.push(bad_expression(inner, &reason).at(span, ""));
                None
            }
        }
    }

    fn unknown_name(&mut self, name: &str, span: Span, provided: Option<&Provided>) {
        let known: Vec<&str> = provided
            .iter()
            .flat_map(|provided| provided.names.keys().map(String::as_str))
            .chain(self.variables.names())
            .collect();
        let otherwise = match (provided, known.as_slice()) {
            (_, []) => "declare it under `vars`; a literal `${` is written `$${`".to_owned(),
            (None, _) => format!("variables may stand here: {}", listed(known.iter().copied())),
            (Some(_), _) => format!("known here are {}", listed(known.iter().copied())),
        };
        let help = did_you_mean(name, known.iter().copied(), otherwise);
        let mut problem = Diagnostic::error(
            Code::UnknownVariable,
            format!("nothing here is called {}", quoted(name)),
        )
        .at(span, "");
        if let Some(lacking) = provided.and_then(|provided| provided.partly.get(name)) {
            problem = problem.at(*lacking, "this selector does not provide it");
        }
        self.report.push(problem.help(help));
    }

    /// The place of a part of a text; the whole text where escapes make the two differ.
    fn within(&self, text: &Text, range: Range<usize>) -> Span {
        let source = self.sources.get(text.span.source);
        let written = source.and_then(|source| source.text.get(text.span.range()));
        let Some(offset) = written.and_then(|written| written.find(&text.text)) else {
            return text.span;
        };
        let byte = |at: usize| u32::try_from(text.span.range().start + offset + at).unwrap_or(u32::MAX);
        Span {
            start: byte(range.start),
            end: byte(range.end),
            ..text.span
        }
    }
}

fn bad_expression(inner: &str, reason: &str) -> Diagnostic {
    let message = format!("{} cannot be computed: {}", quoted(inner), reason.escape_debug());
    Diagnostic::error(Code::BadTemplate, message)
        .help("it is a name, with filters after it if need be: `${tag | lower | replace('+', '-')}`")
}
