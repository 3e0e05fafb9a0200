//! JSON as Python's `json.dump(indent=4, ensure_ascii=False)` writes it.

use serde_json::Value;

use super::super::python;

/// Prints a value on lines of its own.
pub(super) fn json(value: &Value) -> String {
    let mut out = String::new();
    write(value, 0, &mut out);
    out.push('\n');
    out
}

/// A string in quotes.
pub(super) fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// A value that holds no others.
pub(super) fn scalar(value: &Value) -> String {
    match value {
        Value::Number(number) => python::number(number),
        other => other.to_string(),
    }
}

fn write(value: &Value, depth: usize, out: &mut String) {
    match value {
        Value::Array(items) if !items.is_empty() => {
            let lines = items.iter().map(|item| (String::new(), item));
            write_lines('[', lines, ']', depth, out);
        }
        Value::Object(members) if !members.is_empty() => {
            let lines = members.iter().map(|(name, value)| (quoted(name) + ": ", value));
            write_lines('{', lines, '}', depth, out);
        }
        other => out.push_str(&scalar(other)),
    }
}

fn write_lines<'a>(
    open: char,
    lines: impl Iterator<Item = (String, &'a Value)>,
    close: char,
    depth: usize,
    out: &mut String,
) {
    let indent = |depth: usize| "\n".to_owned() + &"    ".repeat(depth);
    out.push(open);
    for (position, (name, value)) in lines.enumerate() {
        if position > 0 {
            out.push(',');
        }
        out.push_str(&indent(depth + 1));
        out.push_str(&name);
        write(value, depth + 1, out);
    }
    out.push_str(&indent(depth));
    out.push(close);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_is_indented_by_four_spaces_and_not_made_ascii() {
        let value = json!({"b": [1, {"é": "\"\n\u{7}/"}, [], {}], "a": null, "f": 1e20});
        assert_eq!(
            json(&value),
            "{\n    \"b\": [\n        1,\n        {\n            \"é\": \"\\\"\\n\\u0007/\"\n        },\n        [],\n        \
             {}\n    ],\n    \"a\": null,\n    \"f\": 1e+20\n}\n"
        );
        assert_eq!(json(&json!("x")), "\"x\"\n");
    }
}
