//! The small pieces that printed text is made of: escaping, colour, counts and spans of time.

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::time::Duration;

use anstyle::{AnsiColor, Effects, Style};

/// How text for people may look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Look {
    /// Whether to colour; nothing is said by colour alone.
    pub is_colored: bool,
    /// The columns there are; no limit where nobody looks at it, as in a file or a pipe.
    pub width: Option<usize>,
}

/// What is new.
pub(super) const ADDED: Style = AnsiColor::Green.on_default();
/// What changes.
pub(super) const CHANGED: Style = AnsiColor::Yellow.on_default();
/// What goes away.
pub(super) const REMOVED: Style = AnsiColor::Red.on_default();
/// What went wrong.
pub(super) const ERROR: Style = AnsiColor::BrightRed.on_default().effects(Effects::BOLD);
/// What may not be what was meant.
pub(super) const WARNING: Style = AnsiColor::BrightYellow.on_default().effects(Effects::BOLD);
/// What is done.
pub(super) const DONE: Style = AnsiColor::Green.on_default().effects(Effects::BOLD);
/// What is to be seen first.
pub(super) const STRONG: Style = Style::new().effects(Effects::BOLD);
/// What may be overlooked.
pub(super) const FAINT: Style = Style::new().effects(Effects::DIMMED);

impl Look {
    /// Puts a text into a style, if there is colour.
    pub(super) fn paint<T: fmt::Display>(self, style: Style, text: T) -> Painted<T> {
        Painted {
            style: if self.is_colored { style } else { Style::new() },
            text,
        }
    }
}

/// A text in a style.
pub(super) struct Painted<T> {
    style: Style,
    text: T,
}

impl<T: fmt::Display> fmt::Display for Painted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { style, text } = self;
        write!(f, "{style}{text}{style:#}")
    }
}

/// Makes a text from outside fit to be shown on one line.
///
/// Control characters, line ends, and characters that change what others look like (bidirectional overrides, marks
/// of no width, tags) are written as `\n` or `\u{202e}`: none reaches a terminal, a log or a page raw.
pub fn escape(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            '\t' => escaped.push_str("\\t"),
            c if is_unsafe(c) => escaped.extend(c.escape_unicode()),
            c => escaped.push(c),
        }
    }
    Cow::Owned(escaped)
}

/// Makes JSON text safe to be shown in a terminal: the same JSON, with every such character as `\u202e`.
pub fn escape_json(json: &str) -> Cow<'_, str> {
    let is_raw = |c: char| is_unsafe(c) && c != '\n';
    if !json.contains(is_raw) {
        return Cow::Borrowed(json);
    }
    let mut escaped = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        if is_raw(c) {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                push(&mut escaped, format_args!("\\u{unit:04x}"));
            }
        } else {
            escaped.push(c);
        }
    }
    Cow::Owned(escaped)
}

/// Whether a character does something else than being seen in its place.
pub(super) fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
            | '\u{fe00}'..='\u{fe0d}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Appends formatted text; writing to a string cannot fail.
pub(super) fn push(out: &mut String, text: fmt::Arguments<'_>) {
    let _ = out.write_fmt(text);
}

/// `1 tag`, `2 tags`.
pub(super) fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// The length of a collection, as a count.
pub(super) fn len<T>(items: &[T]) -> u64 {
    u64::try_from(items.len()).unwrap_or(u64::MAX)
}

/// A span of time as people write it: `0.4s`, `17s`, `2m 05s`, `1h 02m`.
pub(super) fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..10 => format!("{:.1}s", time.as_secs_f64()),
        10..60 => format!("{seconds}s"),
        60..3600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h {:02}m", seconds / 3600, seconds % 3600 / 60),
    }
}

/// A span of time that is only a guess: whole seconds, then minutes, and never nothing.
pub(super) fn rough_span(seconds: f64) -> String {
    // As a guess, a year is as good as forever.
    const SECONDS_MAX: f64 = 365.0 * 86_400.0;
    let seconds = Duration::from_secs_f64(seconds.clamp(0.0, SECONDS_MAX).ceil().max(1.0)).as_secs();
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7200 => format!("{}m", seconds.div_ceil(60)),
        _ => format!("{}h {:02}m", seconds / 3600, seconds % 3600 / 60),
    }
}

/// A rate: `10/s`, `8.5/s`.
pub(super) fn rate(per_second: f64) -> String {
    let text = format!("{per_second:.1}");
    format!("{}/s", text.strip_suffix(".0").unwrap_or(&text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_moves_or_hides_text_is_escaped() {
        assert_eq!(escape("shop/api"), "shop/api");
        assert_eq!(escape("Grüße, 東京"), "Grüße, 東京");
        assert_eq!(escape("a\u{1b}[31mb\nc\td"), "a\\u{1b}[31mb\\nc\\td");
        assert_eq!(escape("\u{9b}2J\u{7f}"), "\\u{9b}2J\\u{7f}");
        assert_eq!(
            escape("\u{202e}gpj\u{2066}\u{200b}\u{e0041}"),
            "\\u{202e}gpj\\u{2066}\\u{200b}\\u{e0041}"
        );
    }

    #[test]
    fn escaped_json_is_the_same_json() {
        let value = serde_json::json!({ "name": "a\u{9b}b\u{202e}c\u{e0041}d\u{1b}" });
        let text = serde_json::to_string_pretty(&value).unwrap();
        let safe = escape_json(&text);
        assert!(!safe.contains(|c| is_unsafe(c) && c != '\n'), "{safe:?}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&safe).unwrap(), value);
    }

    #[test]
    fn times_and_rates_read_well() {
        assert_eq!(span(Duration::from_millis(420)), "0.4s");
        assert_eq!(span(Duration::from_secs(125)), "2m 05s");
        assert_eq!(span(Duration::from_secs(3_725)), "1h 02m");
        assert_eq!(rough_span(0.2), "1s");
        assert_eq!(rough_span(1_000.0), "17m");
        assert_eq!(rough_span(f64::INFINITY), "8760h 00m");
        assert_eq!(rough_span(f64::NAN), "1s");
        assert_eq!(rate(10.0), "10/s");
        assert_eq!(rate(8.53), "8.5/s");
    }
}
