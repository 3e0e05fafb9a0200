//! How Python writes values, since that is what the AWS CLI prints.

use serde_json::{Number, Value};

use super::plain;

/// What `str()` gives: `None`, `True`, text as it is.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => repr(other),
    }
}

/// What `repr()` gives: as [`text`], with text in quotes.
pub(super) fn repr(value: &Value) -> String {
    if let Some(timestamp) = plain::timestamp(value) {
        return timestamp.to_owned();
    }
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Number(it) => number(it),
        Value::String(text) => quoted(text),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(repr).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(members) => {
            let members = members
                .iter()
                .map(|(name, value)| format!("{}: {}", quoted(name), repr(value)));
            format!("{{{}}}", members.collect::<Vec<_>>().join(", "))
        }
    }
}

/// The name of the value's class.
pub(super) fn class(value: &Value) -> &'static str {
    match value {
        Value::Null => "NoneType",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float",
        Value::Number(_) => "int",
        Value::String(_) => "str",
        Value::Array(_) => "list",
        Value::Object(_) if plain::timestamp(value).is_some_and(|text| text.len() > 10) => {
            "datetime.datetime"
        }
        Value::Object(_) if plain::timestamp(value).is_some() => "datetime.date",
        Value::Object(_) => "dict",
    }
}

/// Whether the value counts as true.
pub(super) fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(it) => *it,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(members) => !members.is_empty(),
    }
}

/// A number; the shortest text that reads back as the same float, with an exponent below 1e-4 and from 1e16 on.
pub(super) fn number(number: &Number) -> String {
    let Some(float) = number.as_f64().filter(|_| number.is_f64()) else {
        return number.to_string();
    };
    let shortest = format!("{float:e}");
    let exponent = shortest
        .split_once('e')
        .and_then(|(_, exponent)| exponent.parse::<i32>().ok());
    match (shortest.split_once('e'), exponent) {
        (Some((digits, _)), Some(exponent)) if !(-4..16).contains(&exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", exponent.abs())
        }
        _ => format!("{float:?}"),
    }
}

fn quoted(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') {
        '"'
    } else {
        '\''
    };
    let mut quoted = String::from(quote);
    for c in text.chars() {
        match c {
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\\' => quoted.push_str("\\\\"),
            c if c == quote => quoted.extend(['\\', c]),
            c if c.is_control() => quoted.extend(format!("\\x{:02x}", u32::from(c)).chars()),
            c => quoted.push(c),
        }
    }
    quoted.push(quote);
    quoted
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_read_as_python_prints_them() {
        for (value, expected) in [
            (json!(null), "None"),
            (json!(true), "True"),
            (json!(3), "3"),
            (json!(3.0), "3.0"),
            (json!(1e15), "1000000000000000.0"),
            (json!(1e16), "1e+16"),
            (json!(1.5e20), "1.5e+20"),
            (json!(0.0001), "0.0001"),
            (json!(1e-7), "1e-07"),
            (json!(-0.5), "-0.5"),
            (
                json!(["it's", "a\n", {"b": [null]}]),
                "[\"it's\", 'a\\n', {'b': [None]}]",
            ),
        ] {
            assert_eq!(text(&value), expected);
        }
    }
}
