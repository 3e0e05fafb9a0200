//! Expressions that are compiled, each once, and how much they may take together.

use std::collections::BTreeMap;

use regex::bytes::{Regex, RegexBuilder};

use crate::diagnostic::{Code, Diagnostic};
use crate::plan::expression::Expression;

/// The most bytes of the text of a regular expression.
const PATTERN_BYTES_MAX: usize = 4_000;

/// What one compiled regular expression may take, in bytes: almost all are small.
const SMALL_BYTES: usize = 16 << 10;
const LARGE_BYTES: usize = 256 << 10;

/// What all of a plan's regular expressions may take together, in bytes.
const REGEX_BYTES_MAX: usize = 16 << 20;

/// The most different expressions in templates.
const EXPRESSIONS_MAX: usize = 5_000;

/// What was compiled, by its text.
#[derive(Debug, Default)]
pub(super) struct Compiled {
    regexes: BTreeMap<String, Regex>,
    regex_bytes: usize,
    expressions: BTreeMap<String, Expression>,
    /// Whether it was said that there are too many.
    has_told: bool,
}

/// An expression that was not compiled.
#[derive(Debug)]
pub(super) enum Refused {
    /// It is wrong in itself.
    Bad(String),
    /// There are too many of them, which is said once.
    TooMany(Option<&'static str>),
}

impl Refused {
    /// What there is to say; `bad` says what is wrong with the expression itself.
    pub(super) fn into_diagnostic(self, bad: impl Fn(&str) -> Diagnostic) -> Option<Diagnostic> {
        match self {
            Self::Bad(reason) => Some(bad(&reason)),
            Self::TooMany(message) => {
                Some(Diagnostic::error(Code::TooMany, message?).help("split the plan into several plans"))
            }
        }
    }
}

impl Compiled {
    /// An expression that must match from end to end. Tags are ASCII, so that `\d` and `\w` are too.
    pub(super) fn regex(&mut self, pattern: &str) -> Result<Regex, Refused> {
        if let Some(regex) = self.regexes.get(pattern) {
            return Ok(regex.clone());
        }
        if pattern.len() > PATTERN_BYTES_MAX {
            return Err(Refused::Bad(format!(
                "it has {} bytes, {PATTERN_BYTES_MAX} are allowed",
                pattern.len()
            )));
        }
        // By itself first: `a)|(b` would only be right between the parentheses that are put around it.
        regex_syntax::ast::parse::Parser::new()
            .parse(pattern)
            .map_err(|error| Refused::Bad(error.kind().to_string()))?;
        let within = |bytes: usize| {
            RegexBuilder::new(&format!(r"\A(?:{pattern})\z"))
                .unicode(false)
                .size_limit(bytes)
                .dfa_size_limit(bytes)
                .build()
        };
        for bytes in [SMALL_BYTES, LARGE_BYTES] {
            if self.regex_bytes + bytes > REGEX_BYTES_MAX {
                return Err(self.too_many("the regular expressions are too large together"));
            }
            match within(bytes) {
                Ok(regex) => {
                    self.regex_bytes += bytes;
                    self.regexes.insert(pattern.to_owned(), regex.clone());
                    return Ok(regex);
                }
                Err(regex::Error::CompiledTooBig(_)) => {}
                Err(error) => {
                    let shown = error.to_string();
                    return Err(Refused::Bad(shown.lines().last().unwrap_or_default().to_owned()));
                }
            }
        }
        Err(Refused::Bad("it is too large when compiled".to_owned()))
    }

    /// An expression of a template.
    pub(super) fn expression(&mut self, text: &str) -> Result<Expression, Refused> {
        if let Some(expression) = self.expressions.get(text) {
            return Ok(expression.clone());
        }
        if self.expressions.len() >= EXPRESSIONS_MAX {
            return Err(self.too_many("there are too many expressions in templates"));
        }
        let expression = Expression::compile(text).map_err(Refused::Bad)?;
        self.expressions.insert(text.to_owned(), expression.clone());
        Ok(expression)
    }

    fn too_many(&mut self, message: &'static str) -> Refused {
        let is_first = !std::mem::replace(&mut self.has_told, true);
        Refused::TooMany(is_first.then_some(message))
    }
}
