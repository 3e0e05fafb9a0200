//! YAML as the AWS CLI's library writes it: blocks, members sorted, scalars in the style that libyaml chooses.

mod scalar;

use serde_json::{Map, Value};

use super::super::python;
use super::json;
use scalar::{Style, escape, fold_plain, fold_single_quoted};

/// Prints a value as one document; a scalar is printed as JSON.
pub(super) fn yaml(value: &Value) -> String {
    if !value.is_array() && !value.is_object() {
        return json::scalar(value) + "\n";
    }
    let mut emitter = Emitter {
        out: String::new(),
        column: 0,
    };
    emitter.node(value, 0, Place::Start);
    emitter.out
}

/// The longest key that stands on one line with its value.
const KEY_BYTES_MAX: usize = 128;

/// Where a node stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// At the beginning of the document, or of a line that is indented already.
    Start,
    /// After `- `, `? ` or the `: ` of such a key.
    Indicator,
    /// After `key:`.
    Key,
}

struct Emitter {
    out: String,
    column: usize,
}

impl Emitter {
    fn push(&mut self, text: &str) {
        self.out.push_str(text);
        self.column = match text.rsplit_once('\n') {
            Some((_, last)) => last.chars().count(),
            None => self.column + text.chars().count(),
        };
    }

    fn new_line(&mut self, indent: usize) {
        self.push("\n");
        self.push(&" ".repeat(indent));
    }

    /// Writes a node whose block would be indented by `indent`, and ends the line.
    fn node(&mut self, value: &Value, indent: usize, place: Place) {
        match value {
            Value::Object(members) if !members.is_empty() => {
                let indent = self.begin_block(indent, place, 2);
                self.mapping(members, indent);
            }
            Value::Array(items) if !items.is_empty() => {
                let indent = self.begin_block(indent, place, 0);
                self.sequence(items, indent);
            }
            _ => {
                if place != Place::Start {
                    self.push(" ");
                }
                match value {
                    Value::Object(_) => self.push("{}"),
                    Value::Array(_) => self.push("[]"),
                    Value::String(text) => self.text(text, indent + 2, false),
                    Value::Number(number) => self.push(&python::number(number)),
                    scalar => self.push(&scalar.to_string()),
                }
                self.push("\n");
            }
        }
    }

    /// Goes to where a block begins and returns its indent; after a key that is a line of its own.
    fn begin_block(&mut self, indent: usize, place: Place, below_key: usize) -> usize {
        match place {
            Place::Start => indent,
            Place::Indicator => {
                self.push(" ");
                indent + 2
            }
            Place::Key => {
                self.new_line(indent + below_key);
                indent + below_key
            }
        }
    }

    fn mapping(&mut self, members: &Map<String, Value>, indent: usize) {
        let mut sorted: Vec<(&String, &Value)> = members.iter().collect();
        sorted.sort_by_key(|(name, _)| *name);
        for (position, (name, value)) in sorted.into_iter().enumerate() {
            if position > 0 {
                self.push(&" ".repeat(indent));
            }
            if name.len() > KEY_BYTES_MAX || name.contains(scalar::is_break) {
                self.push("? ");
                self.text(name, indent + 2, false);
                self.new_line(indent);
                self.push(":");
                self.node(value, indent, Place::Indicator);
            } else {
                self.text(name, indent + 2, true);
                self.push(":");
                self.node(value, indent, Place::Key);
            }
        }
    }

    fn sequence(&mut self, items: &[Value], indent: usize) {
        for (position, item) in items.iter().enumerate() {
            if position > 0 {
                self.push(&" ".repeat(indent));
            }
            self.push("-");
            self.node(item, indent, Place::Indicator);
        }
    }

    /// Writes text; what is folded continues at `indent`.
    fn text(&mut self, text: &str, indent: usize, is_key: bool) {
        let folds = (!is_key).then_some(indent);
        let written = match Style::of(text) {
            Style::Plain if is_key && text.is_empty() => "''".to_owned(),
            Style::Plain => fold_plain(text, self.column, folds),
            Style::SingleQuoted => fold_single_quoted(text, self.column, indent, !is_key),
            Style::DoubleQuoted => escape(text, self.column, folds),
        };
        self.push(&written);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn blocks_are_indented_as_libyaml_does() {
        let nest =
            json!({"b": 1, "a": [1, [2, 3], {"x": 1, "y": []}], "e": {}, "n": null, "t": true, "f": 1e20});
        assert_eq!(
            yaml(&json!([nest, [], {}, "x", [[1], [[2]]]])),
            "- a:\n  - 1\n  - - 2\n    - 3\n  - x: 1\n    y: []\n  b: 1\n  e: {}\n  f: 1e+20\n  n: null\n  t: true\n- []\n- \
             {}\n- x\n- - - 1\n  - - - 2\n"
        );
        assert_eq!(yaml(&json!("1")), "\"1\"\n");
        assert_eq!(yaml(&json!(null)), "null\n");
        assert_eq!(yaml(&json!([])), "[]\n");
        assert_eq!(yaml(&json!({"k": {"l": {"m": "x"}}})), "k:\n  l:\n    m: x\n");
    }

    #[test]
    fn keys_that_are_no_simple_keys_get_a_question_mark() {
        let long = "w".repeat(130);
        let value = json!({ "": 4, "1": 2, "a\nb": [5], "a b": 3, long.clone(): {"c": 1} });
        assert_eq!(
            yaml(&value),
            format!("'': 4\n'1': 2\n? 'a\n\n  b'\n: - 5\na b: 3\n? {long}\n: c: 1\n")
        );
    }
}
