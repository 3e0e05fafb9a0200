//! Expressions with filters, by `MiniJinja`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

use jiff::Timestamp;
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::TimeZone;
use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior, Value};

/// How much one expression may compute; `MiniJinja` counts its steps, and the data it makes.
const FUEL: u64 = 20_000;

/// The most bytes of an expression.
const BYTES_MAX: usize = 1_000;

/// The inner name of a numbered capture begins so, since `1` by itself is a number to `MiniJinja`.
const NUMBERED: &str = "__";

static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(50);
    environment.add_filter("date", date);
    environment
});

/// A compiled expression.
#[derive(Debug, Clone)]
pub(super) struct Expression {
    compiled: Arc<minijinja::Expression<'static, 'static>>,
    names: BTreeSet<String>,
}

/// An expression that gives no text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) reason: String,
    /// Whether it fails whatever its names stand for, as with a filter that does not exist.
    pub(super) is_certain: bool,
}

impl Expression {
    /// Reads an expression; the error says what is wrong with it.
    pub(super) fn compile(text: &str) -> Result<Self, String> {
        if text.len() > BYTES_MAX {
            return Err(format!("it has {} bytes, {BYTES_MAX} are allowed", text.len()));
        }
        let names = names(text);
        let compiled = ENVIRONMENT
            .compile_expression_owned(with_named_number(text))
            .map_err(|error| reason(&error))?;
        Ok(Self {
            names,
            compiled: Arc::new(compiled),
        })
    }

    /// The names it uses; captures by number as digits.
    pub(super) fn names(&self) -> &BTreeSet<String> {
        &self.names
    }

    /// Computes the text, each name standing for what `value` gives.
    pub(super) fn evaluate(&self, value: impl Fn(&str) -> Option<Value>) -> Result<String, Failure> {
        let context: BTreeMap<String, Value> = self
            .names
            .iter()
            .filter_map(|name| {
                let value = value(name)?;
                let inner = if is_number(name) {
                    format!("{NUMBERED}{name}")
                } else {
                    name.clone()
                };
                Some((inner, value))
            })
            .collect();
        let result = self
            .compiled
            .eval(Value::from(context))
            .map_err(|error| Failure {
                reason: reason(&error),
                is_certain: matches!(
                    error.kind(),
                    ErrorKind::SyntaxError
                        | ErrorKind::UnknownFilter
                        | ErrorKind::UnknownTest
                        | ErrorKind::UnknownFunction
                        | ErrorKind::UnknownMethod
                        | ErrorKind::MissingArgument
                        | ErrorKind::TooManyArguments
                ),
            })?;
        if result.is_undefined() || result.is_none() {
            return Err(Failure {
                reason: "it gives no value".to_owned(),
                is_certain: false,
            });
        }
        Ok(result.to_string())
    }
}

/// The number of the capture that an expression begins with, such as in `1 | lower`.
fn leading_capture(text: &str) -> Option<&str> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, rest) = text.split_at_checked(digits)?;
    let is_capture = digits > 0 && !rest.starts_with(|c: char| c == '.' || is_word(c));
    is_capture.then_some(number)
}

fn with_named_number(text: &str) -> String {
    match leading_capture(text) {
        Some(_) => format!("{NUMBERED}{text}"),
        None => text.to_owned(),
    }
}

/// The names of an expression: its words, save keywords, what follows `.`, `|` or `is`, and what is before one `=`.
///
/// Read from the text, since `MiniJinja` 3.1 leaves out what is sliced when it lists them: `tag` in `tag[1:4]`.
fn names(text: &str) -> BTreeSet<String> {
    const KEYWORDS: [&str; 13] = [
        "true", "false", "none", "True", "False", "None", "not", "and", "or", "in", "is", "if", "else",
    ];
    let mut names: BTreeSet<String> = leading_capture(text).map(str::to_owned).into_iter().collect();
    let mut rest = text;
    let mut before = "";
    while let Some(c) = rest.chars().next() {
        let (token, after) = rest.split_at(token_len(rest, c));
        rest = after;
        let next = after.trim_start();
        let is_argument = next.starts_with('=') && !next.starts_with("==");
        let is_member = matches!(before, "." | "|" | "is" | "is not");
        let is_name = (c.is_ascii_alphabetic() || c == '_') && !KEYWORDS.contains(&token);
        if is_name && !is_member && !is_argument {
            names.insert(token.to_owned());
        }
        before = match token {
            "not" if before == "is" => "is not",
            _ if token.trim().is_empty() => before,
            _ => token,
        };
    }
    names
}

/// How long the word, the number or the quoted text is that begins here; else one character.
fn token_len(text: &str, first: char) -> usize {
    if first == '"' || first == '\'' {
        let mut chars = text.char_indices().skip(1);
        while let Some((at, c)) = chars.next() {
            match c {
                '\\' => _ = chars.next(),
                _ if c == first => return at + 1,
                _ => {}
            }
        }
        text.len()
    } else if is_word(first) {
        text.find(|c| !is_word(c)).unwrap_or(text.len())
    } else {
        first.len_utf8()
    }
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn is_number(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit())
}

fn reason(error: &Error) -> String {
    let detail = error.detail().unwrap_or_default();
    if detail.is_empty() {
        error.kind().to_string()
    } else {
        detail.to_owned()
    }
}

/// The filter `date`: a moment in RFC 3339 as strftime writes it, in UTC.
fn date(moment: &str, format: &str) -> Result<String, Error> {
    let moment: Timestamp = moment.parse().map_err(|_| {
        let detail = format!("`{moment}` is not a moment in RFC 3339");
        Error::new(ErrorKind::InvalidOperation, detail)
    })?;
    let zoned = moment.to_zoned_datetime(TimeZone::UTC);
    BrokenDownTime::from(&zoned).to_string(format).map_err(|error| {
        Error::new(
            ErrorKind::SyntaxError,
            format!("`{format}` is no date format: {error}"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evaluate(text: &str) -> Result<String, Failure> {
        let expression = Expression::compile(text).map_err(|reason| Failure {
            reason,
            is_certain: true,
        })?;
        expression.evaluate(|name| match name {
            "tag" => Some(Value::from("V1.8+b")),
            "1" => Some(Value::from("First")),
            "major" => Some(Value::from(1_u64)),
            "pushed_at" => Some(Value::from("2024-01-02T03:04:05.5Z")),
            _ => None,
        })
    }

    #[test]
    fn filters_and_captures_by_number() {
        for (text, expected) in [
            ("tag | lower | replace('+', '-')", "v1.8-b"),
            ("1", "First"),
            ("1 | upper", "FIRST"),
            ("1|length + 1", "6"),
            ("major + 1", "2"),
            ("tag[1:4]", "1.8"),
            ("(tag | split('.'))[0]", "V1"),
            ("tag | first", "V"),
            ("pushed_at | date('%Y.%m.%d')", "2024.01.02"),
            ("'x' if major > 0 else 'y'", "x"),
        ] {
            assert_eq!(evaluate(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn names_are_found_wherever_they_stand() {
        for (text, expected) in [
            ("tag", &["tag"][..]),
            ("1 | default(2)", &["1"]),
            ("tag[1:4]", &["tag"]),
            ("(a ~ b)[c:d]", &["a", "b", "c", "d"]),
            ("a.b.c(d, e=f) == g", &["a", "d", "f", "g"]),
            ("a | b(c) | d", &["a", "c"]),
            ("a is b and c is not d or not e", &["a", "c", "e"]),
            ("'a' ~ \"b\\\" c\" ~ d", &["d"]),
            ("1e3 + 2", &[]),
            ("{'a': b}[c] if d else none", &["b", "c", "d"]),
            ("a<=b", &["a", "b"]),
        ] {
            let names: Vec<String> = names(text).into_iter().collect();
            assert_eq!(names, expected, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_computed_says_so() {
        for (text, is_certain) in [
            ("tag | nope", true),
            ("tag |", true),
            ("tag is nope", true),
            ("pushed_at | date('%')", true),
            ("tag | date('%Y')", false),
            ("1 | int", false),
            ("tag[99:] | first", false),
            ("'x' * 100000000", false),
            ("((((((((((((((((((((((((((((((((((((((((((((((((((((((((1", true),
        ] {
            let failure = evaluate(text).unwrap_err();
            assert_eq!(failure.is_certain, is_certain, "{text}: {failure:?}");
            assert!(!failure.reason.is_empty(), "{text}");
        }
    }
}
