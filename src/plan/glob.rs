//! Glob patterns over names: case-sensitive, matching the whole name, `*` matching `/` too, as in IAM.

use std::sync::{Arc, OnceLock};

use regex::bytes::Regex;

use crate::diagnostic::{Code, Diagnostic, Span};

/// The most bytes of a pattern.
const BYTES_MAX: usize = 1_000;

/// The characters that make a text a pattern rather than a name.
const MAGIC: [char; 4] = ['*', '?', '[', '{'];

/// A pattern such as `shop/*` or `1.{8,9}.?`.
#[derive(Debug, Clone)]
pub struct Glob {
    /// The pattern as it is written, with every variable filled in.
    pub text: String,
    /// Where it stands.
    pub span: Span,
    matcher: Arc<Matcher>,
}

/// A pattern is read when the plan is checked and compiled when it is first asked, so that checking stays quick.
#[derive(Debug)]
struct Matcher {
    regex: String,
    compiled: OnceLock<Option<Regex>>,
}

impl Glob {
    /// Reads a pattern; the error is a `plan/bad-glob` at this place.
    pub fn new(text: impl Into<String>, span: Span) -> Result<Self, Diagnostic> {
        let text = text.into();
        let bad = |reason: String| {
            let shown: String = text.chars().take(100).flat_map(char::escape_debug).collect();
            Diagnostic::error(
                Code::BadGlob,
                format!("`{shown}` is not a pattern that can be read: {reason}"),
            )
            .at(span, "")
            .help("`*` stands for any text, `?` for one character, `[ab]` for one of these, `{x,y}` for either; `\\` takes a special meaning away")
        };
        if text.len() > BYTES_MAX {
            return Err(bad(format!(
                "it has {} bytes, {BYTES_MAX} are allowed",
                text.len()
            )));
        }
        let glob = globset::GlobBuilder::new(&text)
            .literal_separator(false)
            .backslash_escape(true)
            .empty_alternates(true)
            .build()
            .map_err(|error| bad(error.kind().to_string()))?;
        let matcher = Matcher {
            regex: glob.regex().to_owned(),
            compiled: OnceLock::new(),
        };
        Ok(Self {
            matcher: Arc::new(matcher),
            text,
            span,
        })
    }

    /// Whether the whole name matches.
    pub fn matches(&self, name: &str) -> bool {
        self.matcher
            .compiled
            .get_or_init(|| Regex::new(&self.matcher.regex).ok())
            .as_ref()
            .is_some_and(|regex| regex.is_match(name.as_bytes()))
    }
}

/// Whether a text is a pattern: it holds one of `* ? [ {`.
pub(super) fn is_glob(text: &str) -> bool {
    text.contains(MAGIC)
}

/// Writes a text so that a pattern takes it literally.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if MAGIC.contains(&c) || matches!(c, ']' | '}' | '\\' | '!' | ',') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}
