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
    /// What every name that matches begins with.
    start: String,
    /// Whether every name that begins so matches: the pattern ends with its only special character, a `*`.
    takes_any_rest: bool,
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
        let special = |c: char| MAGIC.contains(&c) || c == '\\';
        let (start, rest) = text.split_at(text.find(special).unwrap_or(text.len()));
        let matcher = Matcher {
            start: start.to_owned(),
            takes_any_rest: rest == "*",
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
        let matcher = &*self.matcher;
        name.starts_with(&matcher.start) && (matcher.takes_any_rest || matcher.matches_regex(name))
    }
}

impl Matcher {
    fn matches_regex(&self, name: &str) -> bool {
        self.compiled
            .get_or_init(|| Regex::new(&self.regex).ok())
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn glob(text: &str) -> Glob {
        Glob::new(text, Span::default()).unwrap()
    }

    #[test]
    fn patterns_match_the_whole_name_and_know_case() {
        for (pattern, name, expected) in [
            ("shop/*", "shop/api", true),
            ("shop/*", "shop/a/b", true),
            ("shop/*", "xshop/api", false),
            ("*", "anything/at.all", true),
            ("*/api", "shop/api", true),
            ("1.8.?", "1.8.0", true),
            ("1.8.?", "1.8.10", false),
            ("v[0-9]*", "v1", true),
            ("v[!0-9]*", "v1", false),
            ("{api,web}-*", "web-1", true),
            ("{api,web}-*", "db-1", false),
            ("V*", "v1", false),
            ("a**b", "a/x/b", true),
            (r"a\*b", "a*b", true),
            (r"a\*b", "axb", false),
            ("a{,-b}", "a", true),
            ("", "", true),
            (".*", "x", false),
        ] {
            assert_eq!(glob(pattern).matches(name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn a_text_is_a_pattern_if_it_holds_a_wildcard() {
        for (text, expected) in [
            ("1.8.0", false),
            ("*", true),
            ("a?", true),
            ("[a]", true),
            ("{a,b}", true),
            ("a]", false),
        ] {
            assert_eq!(is_glob(text), expected, "{text}");
        }
    }

    #[test]
    fn a_huge_pattern_is_refused() {
        assert!(Glob::new("*".repeat(BYTES_MAX), Span::default()).is_ok());
        assert!(Glob::new("*".repeat(BYTES_MAX + 1), Span::default()).is_err());
    }

    proptest! {
        #[test]
        fn what_is_seen_from_the_start_agrees_with_the_whole_pattern(
            pattern in r"[ab*?\[\]{},\\/]{0,6}",
            name in "[ab/]{0,5}",
        ) {
            if let Ok(glob) = Glob::new(pattern, Span::default()) {
                prop_assert_eq!(glob.matches(&name), glob.matcher.matches_regex(&name));
            }
        }

        #[test]
        fn what_is_escaped_means_itself(text in r"[a-z*?\[\]{}!,\\/. -]{0,12}", other in "[a-z*/,]{0,4}") {
            let glob = glob(&escape(&text));
            prop_assert!(glob.matches(&text));
            prop_assert_eq!(glob.matches(&other), text == other);
        }
    }
}
