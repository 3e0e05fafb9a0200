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
        let text = with_named_number(text);
        let compiled = ENVIRONMENT
            .compile_expression_owned(text)
            .map_err(|error| reason(&error))?;
        let names = compiled.undeclared_variables(false).into_iter();
        let names = names.map(|name| match name.strip_prefix(NUMBERED) {
            Some(number) if is_number(number) => number.to_owned(),
            _ => name,
        });
        Ok(Self {
            names: names.collect(),
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

/// Digits that an expression begins with are a capture, such as in `1 | lower`.
fn with_named_number(text: &str) -> String {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let is_capture = digits > 0 && !text.get(digits..).is_some_and(|rest| rest.starts_with('.'));
    if is_capture {
        format!("{NUMBERED}{text}")
    } else {
        text.to_owned()
    }
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
