//! Text with `${...}` in it, taken apart.

use std::ops::Range;

/// A part of such a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    /// Text that stands for itself; `$${` has become `${`.
    Literal(String),
    /// What stands between `${` and `}`.
    Expression {
        /// The expression, without blanks around it.
        text: String,
        /// The bytes of the whole, from `$` to `}`.
        range: Range<usize>,
    },
}

/// A `${` that is not closed, or holds nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Malformed {
    pub(super) reason: &'static str,
    pub(super) range: Range<usize>,
}

/// Takes a text apart; neighbouring literals are one.
pub(super) fn split(text: &str) -> Result<Vec<Part>, Malformed> {
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let Some(dollar) = rest.find('$') else {
            literal.push_str(rest);
            break;
        };
        let (before, from_dollar) = rest.split_at(dollar);
        literal.push_str(before);
        at += dollar;
        if from_dollar.starts_with("$${") {
            literal.push_str("${");
            at += 3;
        } else if let Some(inside) = from_dollar.strip_prefix("${") {
            let range = |len: usize| at..at + len;
            let Some(len) = expression_len(inside) else {
                return Err(Malformed {
                    reason: "`${` is not closed",
                    range: range(from_dollar.len()),
                });
            };
            let expression = inside.get(..len).unwrap_or_default().trim();
            let range = range(len + 3);
            if expression.is_empty() {
                return Err(Malformed {
                    reason: "`${}` names nothing",
                    range,
                });
            }
            if !literal.is_empty() {
                parts.push(Part::Literal(std::mem::take(&mut literal)));
            }
            at = range.end;
            parts.push(Part::Expression {
                text: expression.to_owned(),
                range,
            });
        } else {
            literal.push('$');
            at += 1;
        }
    }
    if !literal.is_empty() {
        parts.push(Part::Literal(literal));
    }
    Ok(parts)
}

/// How many bytes stand before the `}` that closes an expression: quotes and nested braces are passed over.
fn expression_len(inside: &str) -> Option<usize> {
    let mut quote = None;
    let mut depth = 0_usize;
    let mut chars = inside.char_indices();
    while let Some((at, c)) = chars.next() {
        match (quote, c) {
            (Some(_), '\\') => {
                chars.next();
            }
            (Some(open), _) if c == open => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            (None, '{') => depth += 1,
            (None, '}') if depth == 0 => return Some(at),
            (None, '}') => depth -= 1,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let parts = match split(text) {
            Ok(parts) => parts,
            Err(malformed) => return format!("{} at {:?}", malformed.reason, malformed.range),
        };
        let shown = parts.iter().map(|part| match part {
            Part::Literal(text) => format!("<{text}>"),
            Part::Expression { text: inner, range } => {
                assert!(text[range.clone()].starts_with("${") && text[range.clone()].ends_with('}'));
                format!("({inner})")
            }
        });
        shown.collect::<Vec<_>>().concat()
    }

    #[test]
    fn text_is_taken_apart() {
        for (text, expected) in [
            ("", ""),
            ("latest", "<latest>"),
            ("${tag}", "(tag)"),
            ("v${ tag }-x", "<v>(tag)<-x>"),
            ("${a}${b}", "(a)(b)"),
            ("$${a}", "<${a}>"),
            ("$$${a}", "<$${a}>"),
            ("a$b$", "<a$b$>"),
            (r#"${tag | replace("}", '{')}"#, r#"(tag | replace("}", '{'))"#),
            (r#"${tag | replace("\"}", "")}"#, r#"(tag | replace("\"}", ""))"#),
            ("${ {'a': 1}['a'] }é", "({'a': 1}['a'])<é>"),
            ("x${tag", "`${` is not closed at 1..6"),
            ("x${'}", "`${` is not closed at 1..5"),
            ("x${ }", "`${}` names nothing at 1..5"),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }
}
