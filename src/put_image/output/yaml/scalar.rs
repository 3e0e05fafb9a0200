//! How libyaml writes a scalar: in which style, and where it breaks a line.

use super::super::super::plain::Plain;

/// The columns after which a line is broken at the next space.
const WIDTH: usize = 80;

/// The quotes around a scalar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    SingleQuoted,
    DoubleQuoted,
}

impl Style {
    /// The plainest style that reads back as this text.
    pub(super) fn of(text: &str) -> Self {
        let traits = Traits::of(text);
        if traits.needs_escapes {
            Self::DoubleQuoted
        } else if traits.needs_quotes || Plain::of(text) != Plain::Text {
            Self::SingleQuoted
        } else {
            Self::Plain
        }
    }
}

#[derive(Debug, Default)]
struct Traits {
    needs_quotes: bool,
    needs_escapes: bool,
}

impl Traits {
    fn of(text: &str) -> Self {
        let mut traits = Self {
            needs_quotes: text.starts_with("---") || text.starts_with("..."),
            needs_escapes: false,
        };
        let mut before: Option<char> = None;
        let mut rest = text.chars().peekable();
        while let Some(c) = rest.next() {
            let next = rest.peek().copied();
            let is_followed_by_blank = next.is_none_or(is_blank);
            let is_first = before.is_none();
            let indicates = match c {
                '#' => before.is_none_or(is_blank),
                ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@' | '`' => {
                    is_first
                }
                '?' | '-' => is_first && is_followed_by_blank,
                ':' => is_followed_by_blank,
                _ => false,
            };
            let is_at_an_end = is_first || next.is_none();
            traits.needs_quotes |= indicates || is_break(c) || (c == ' ' && is_at_an_end);
            let is_space_by_break =
                (c == ' ' && before.is_some_and(is_break)) || (is_break(c) && before == Some(' '));
            traits.needs_escapes |= !is_printable(c) || is_space_by_break;
            before = Some(c);
        }
        traits
    }
}

pub(super) fn is_break(c: char) -> bool {
    matches!(c, '\r' | '\n' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

fn is_blank(c: char) -> bool {
    c == ' ' || c == '\t' || is_break(c)
}

/// What libyaml writes as it is; characters beyond the basic plane are not among them.
fn is_printable(c: char) -> bool {
    matches!(c, '\n' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}') && c != '\u{feff}'
}

/// Writes text in pieces and knows in which column it is.
struct Line {
    out: String,
    column: usize,
}

impl Line {
    fn at(column: usize) -> Self {
        Self {
            out: String::new(),
            column,
        }
    }

    fn push(&mut self, c: char) {
        self.out.push(c);
        self.column = if is_break(c) { 0 } else { self.column + 1 };
    }

    fn extend(&mut self, text: &str) {
        text.chars().for_each(|c| self.push(c));
    }

    fn break_to(&mut self, indent: usize) {
        self.push('\n');
        self.indent(indent);
    }

    fn indent(&mut self, indent: usize) {
        self.extend(&" ".repeat(indent));
    }
}

/// Writes text without quotes from this column on; `folds` is where a broken line continues.
pub(super) fn fold_plain(text: &str, column: usize, folds: Option<usize>) -> String {
    let mut line = Line::at(column);
    let mut before = None;
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let is_alone = c == ' ' && before != Some(' ') && rest.peek() != Some(&' ');
        match folds {
            Some(indent) if is_alone && line.column > WIDTH => line.break_to(indent),
            _ => line.push(c),
        }
        before = Some(c);
    }
    line.out
}

/// Writes text between single quotes; a line break in it becomes an empty line.
pub(super) fn fold_single_quoted(text: &str, column: usize, indent: usize, folds: bool) -> String {
    let mut line = Line::at(column);
    line.push('\'');
    let mut before: Option<char> = None;
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let next = rest.peek().copied();
        let follows_break = before.is_some_and(is_break);
        if c == ' ' {
            let is_inside = before.is_some() && next.is_some();
            let is_alone = before != Some(' ') && next != Some(' ');
            if folds && is_inside && is_alone && line.column > WIDTH {
                line.break_to(indent);
            } else {
                line.push(c);
            }
        } else if is_break(c) {
            if c == '\n' && !follows_break {
                line.push('\n');
            }
            line.push(c);
        } else {
            if follows_break {
                line.indent(indent);
            }
            if c == '\'' {
                line.push('\'');
            }
            line.push(c);
        }
        before = Some(c);
    }
    if before.is_some_and(is_break) {
        line.indent(indent);
    }
    line.push('\'');
    line.out
}

/// Writes text between double quotes, with escapes.
pub(super) fn escape(text: &str, column: usize, folds: Option<usize>) -> String {
    let mut line = Line::at(column);
    line.push('"');
    let mut before_was_space = false;
    let mut is_first = true;
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let next = rest.peek().copied();
        if c == ' ' {
            let is_inside = !is_first && next.is_some();
            match folds {
                Some(indent) if is_inside && !before_was_space && line.column > WIDTH => {
                    line.break_to(indent);
                    if next == Some(' ') {
                        line.push('\\');
                    }
                }
                _ => line.push(c),
            }
        } else if !is_printable(c) || is_break(c) || c == '"' || c == '\\' {
            line.extend(&escaped(c));
        } else {
            line.push(c);
        }
        before_was_space = c == ' ';
        is_first = false;
    }
    line.push('"');
    line.out
}

fn escaped(c: char) -> String {
    let name = match c {
        '\0' => '0',
        '\u{7}' => 'a',
        '\u{8}' => 'b',
        '\t' => 't',
        '\n' => 'n',
        '\u{b}' => 'v',
        '\u{c}' => 'f',
        '\r' => 'r',
        '\u{1b}' => 'e',
        '"' => '"',
        '\\' => '\\',
        '\u{85}' => 'N',
        '\u{a0}' => '_',
        '\u{2028}' => 'L',
        '\u{2029}' => 'P',
        other => {
            let code = u32::from(other);
            return match code {
                0..=0xff => format!("\\x{code:02X}"),
                0x100..=0xffff => format!("\\u{code:04X}"),
                _ => format!("\\U{code:08X}"),
            };
        }
    };
    format!("\\{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_style_is_the_plainest_that_reads_back() {
        let plain = "yes no 1:30 a:b a#b -a ?a :a 0.0.1 1e3.4 190:20:30.15 0x + é sha256:ab shop/api";
        for text in plain.split(' ') {
            assert_eq!(Style::of(text), Style::Plain, "{text}");
        }
        let single = "true ~ = << 012 2019.08 1.10 -1 2019-08-01 - ? : a: #x !x &a *a @a %a `a {a [a ]a ,a |a >a 'a \"a --- ... 9";
        for text in single.split(' ') {
            assert_eq!(Style::of(text), Style::SingleQuoted, "{text}");
        }
        for text in ["", " a", "a ", "a\nb", "a\n", "a #b", "a: b"] {
            assert_eq!(Style::of(text), Style::SingleQuoted, "{text:?}");
        }
        for text in ["a\tb", "\u{7}", "😀", "\u{feff}a", "a\u{85}b", "a \nb", "a\n b"] {
            assert_eq!(Style::of(text), Style::DoubleQuoted, "{text:?}");
        }
    }

    #[test]
    fn long_lines_are_broken_at_a_space() {
        let words = "word ".repeat(40);
        let folded = fold_single_quoted(&words, 4, 2, true);
        assert_eq!(
            folded,
            format!(
                "'{}\n  {}\n  {}'",
                "word ".repeat(16).trim_end(),
                "word ".repeat(16).trim_end(),
                "word ".repeat(8)
            )
        );
        assert_eq!(fold_plain("a b", 90, Some(2)), "a\n  b");
        assert_eq!(fold_plain("a  b", 90, Some(2)), "a  b");
        assert_eq!(fold_plain("a b", 90, None), "a b");
    }

    #[test]
    fn a_broken_line_that_goes_on_with_a_space_says_so() {
        let text = format!("{}\n   \"x\"", "y".repeat(90));
        assert_eq!(
            escape(&text, 0, Some(4)),
            format!("\"{}\\n\n    \\  \\\"x\\\"\"", "y".repeat(90))
        );
        assert_eq!(
            escape("\u{7}\u{1}\u{feff}😀", 0, None),
            "\"\\a\\x01\\uFEFF\\U0001F600\""
        );
        assert_eq!(fold_single_quoted("a\n", 0, 2, true), "'a\n\n  '");
        assert_eq!(fold_single_quoted("it's", 0, 2, true), "'it''s'");
    }
}
