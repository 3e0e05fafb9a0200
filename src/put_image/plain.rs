//! What plain YAML scalars mean to the AWS CLI's YAML library: the rules of YAML 1.2 as ruamel.yaml has them.

use std::sync::LazyLock;

use regex::RegexSet;
use serde_json::{Map, Value};

use crate::yaml::{self, Node};

/// What a scalar without quotes is taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plain {
    Null,
    Boolean,
    Integer,
    Float,
    Timestamp,
    /// `<<` and `=`, which YAML reserves.
    Reserved,
    Text,
}

/// In the order in which the library tries them.
const KINDS: [Plain; 6] = [
    Plain::Boolean,
    Plain::Float,
    Plain::Integer,
    Plain::Reserved,
    Plain::Null,
    Plain::Timestamp,
];

static PATTERNS: LazyLock<Option<RegexSet>> = LazyLock::new(|| {
    RegexSet::new([
        r"^(?:true|True|TRUE|false|False|FALSE)$",
        r"^(?:[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+]?[0-9]+)?|[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+|[-+]?\.[0-9_]+(?:[eE][-+][0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$",
        r"^(?:[-+]?0b[0-1_]+|[-+]?0o?[0-7_]+|[-+]?[0-9][0-9_]*|[-+][0-9_]+|[-+]?0x[0-9a-fA-F_]+)$",
        r"^(?:<<|=)$",
        r"^(?:~|null|Null|NULL|)$",
        r"^[0-9]{4}-(?:[0-9]{2}-[0-9]{2}|[0-9]{1,2}-[0-9]{1,2}(?:[Tt]|[ \t]+)[0-9]{1,2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]*)?(?:[ \t]*(?:Z|[-+][0-9]{1,2}(?::[0-9]{2})?))?)$",
    ])
    .ok()
});

impl Plain {
    /// What this text means without quotes.
    pub(super) fn of(text: &str) -> Self {
        let matches = PATTERNS.as_ref().map(|patterns| patterns.matches(text));
        let first = matches.and_then(|matches| matches.iter().next());
        first
            .and_then(|index| KINDS.get(index).copied())
            .unwrap_or(Self::Text)
    }
}

/// A YAML document as JSON, with the types that the library gives its plain scalars.
///
/// JSON has no timestamps; one becomes a marked object, see [`timestamp`].
pub(super) fn to_value(node: &Node) -> Value {
    match &node.value {
        yaml::Value::Empty => Value::Null,
        yaml::Value::Scalar {
            text,
            is_plain: false,
        } => Value::String(text.clone()),
        yaml::Value::Scalar { text, is_plain: true } => scalar(text),
        yaml::Value::Sequence(items) => items.iter().map(to_value).collect(),
        yaml::Value::Mapping(entries) => {
            let text = |key: &Node| match &key.value {
                yaml::Value::Scalar { text, .. } => text.clone(),
                other => other.kind().to_owned(),
            };
            let entries = entries.iter().map(|(key, value)| (text(key), to_value(value)));
            Value::Object(entries.collect::<Map<_, _>>())
        }
    }
}

fn scalar(text: &str) -> Value {
    let digits = || text.replace('_', "");
    match Plain::of(text) {
        Plain::Null => Value::Null,
        Plain::Boolean => Value::Bool(text.eq_ignore_ascii_case("true")),
        Plain::Integer => integer(&digits()).unwrap_or_else(|| Value::String(text.to_owned())),
        Plain::Float => digits()
            .parse::<f64>()
            .ok()
            .and_then(|number| serde_json::Number::from_f64(number).map(Value::Number))
            .unwrap_or_else(|| Value::String(text.to_owned())),
        Plain::Timestamp => Value::Object(Map::from_iter([(TIMESTAMP.to_owned(), text.into())])),
        Plain::Reserved | Plain::Text => Value::String(text.to_owned()),
    }
}

fn integer(text: &str) -> Option<Value> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let number = match digits.get(..2) {
        Some("0x") => i64::from_str_radix(digits.get(2..)?, 16),
        Some("0b") => i64::from_str_radix(digits.get(2..)?, 2),
        Some("0o") => i64::from_str_radix(digits.get(2..)?, 8),
        _ => digits.parse(),
    };
    Some((sign * number.ok()?).into())
}

/// The key of the object that stands for a timestamp; no YAML text can hold it.
const TIMESTAMP: &str = "\u{0}timestamp";

/// The text of a timestamp, if the value stands for one.
pub(super) fn timestamp(value: &Value) -> Option<&str> {
    value.get(TIMESTAMP)?.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_mean_what_ruamel_takes_them_for() {
        for (kind, texts) in [
            (
                Plain::Text,
                "yes no on off y n 1:30 a 0.0.1 1e3.4 0x + - . v1 190:20:30.15 _1",
            ),
            (Plain::Boolean, "true True TRUE false"),
            (Plain::Null, "~ null Null NULL"),
            (
                Plain::Integer,
                "0 9 08 012 0o7 0x1F 0b11 1_000 -1 +1 123456789012",
            ),
            (
                Plain::Float,
                "2019.08 1.10 1. .5 1e3 1.5e3 +12e03 .inf -.Inf .NaN 685_230.15",
            ),
            (Plain::Timestamp, "2019-08-01 2019-8-1T10:00:00Z"),
            (Plain::Reserved, "= <<"),
        ] {
            for text in texts.split(' ') {
                assert_eq!(Plain::of(text), kind, "{text}");
            }
        }
        assert_eq!(Plain::of(""), Plain::Null);
    }
}
