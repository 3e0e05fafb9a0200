//! Files of `--var-file`: a YAML mapping, or lines `NAME=VALUE` as in dotenv files.

use super::reader::{Entries, FromNode, Reader, Text};
use super::report::{Report, quoted};
use crate::diagnostic::{Code, Diagnostic, Span};
use crate::yaml;

/// Reads names with their places, and values, in the order they are written; the last of a name holds.
pub(super) fn read(text: &str, source: u32, report: &mut Report) -> Vec<(Text, String)> {
    let first = text.lines().map(str::trim).find(|line| is_content(line));
    match first {
        None => Vec::new(),
        Some(line) if assignment(line).is_some() => dotenv(text, source, report),
        Some(_) => mapping(text, source, report),
    }
}

fn mapping(text: &str, source: u32, report: &mut Report) -> Vec<(Text, String)> {
    let mut reader = Reader { source, text, report };
    match yaml::parse(text) {
        Ok(node) => {
            let entries = Entries::<Text>::from_node(&node, "--var-file", &mut reader);
            let entries = entries.into_iter().flat_map(|entries| entries.0);
            entries
                .filter_map(|(name, value)| Some((name, value?.text)))
                .collect()
        }
        Err(error) => {
            let span = span(source, error.span.start, error.span.end);
            let problem = Diagnostic::error(
                Code::InvalidVariableFile,
                format!("the file of variables cannot be read: {}", error.message),
            );
            report.push(
                problem
                    .at(span, "")
                    .help("it is a YAML mapping, or lines `NAME=VALUE`"),
            );
            Vec::new()
        }
    }
}

fn dotenv(text: &str, source: u32, report: &mut Report) -> Vec<(Text, String)> {
    let mut values = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let end = start + line.trim_end().len();
        let content = line.trim();
        if is_content(content) {
            match assignment(content).and_then(|(name, value)| Some((name, unquoted(value)?))) {
                Some((name, value)) => {
                    let at = start + line.find(name).unwrap_or_default();
                    let text = name.to_owned();
                    let span = span(source, at, at + name.len());
                    values.push((Text { text, span }, value));
                }
                None => report.push(
                    Diagnostic::error(
                        Code::InvalidVariableFile,
                        format!("{} is no line of a file of variables", quoted(content)),
                    )
                    .at(span(source, start, end), "")
                    .help("write `NAME=VALUE`; a value may stand in quotes"),
                ),
            }
        }
        start += line.len();
    }
    values
}

fn span(source: u32, start: usize, end: usize) -> Span {
    let byte = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
    Span {
        source,
        start: byte(start),
        end: byte(end),
    }
}

fn is_content(line: &str) -> bool {
    !line.is_empty() && !line.starts_with('#')
}

/// The two sides of `NAME=VALUE`, with `export` before it or not.
fn assignment(line: &str) -> Option<(&str, &str)> {
    let line = line.strip_prefix("export ").unwrap_or(line);
    let (name, value) = line.split_once('=')?;
    let name = name.trim();
    let is_name = !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    is_name.then_some((name, value.trim()))
}

/// The value: as it is in single quotes, with escapes in double quotes, else up to a comment.
fn unquoted(value: &str) -> Option<String> {
    if let Some(rest) = value.strip_prefix('\'') {
        let (inside, after) = rest.split_once('\'')?;
        return is_comment(after).then(|| inside.to_owned());
    }
    let Some(rest) = value.strip_prefix('"') else {
        let plain = value.find(" #").and_then(|at| value.get(..at)).unwrap_or(value);
        return Some(plain.trim_end().to_owned());
    };
    let mut inside = String::new();
    let mut chars = rest.chars();
    loop {
        match chars.next()? {
            '"' => return is_comment(chars.as_str()).then_some(inside),
            '\\' => match chars.next()? {
                'n' => inside.push('\n'),
                't' => inside.push('\t'),
                c => inside.push(c),
            },
            c => inside.push(c),
        }
    }
}

fn is_comment(after: &str) -> bool {
    let after = after.trim();
    after.is_empty() || after.starts_with('#')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(text: &str) -> Vec<(String, String)> {
        let mut report = Report::default();
        let read = read(text, 0, &mut report);
        assert!(!report.has_errors(), "{:?}", report.into_sorted());
        read.into_iter().map(|(name, value)| (name.text, value)).collect()
    }

    #[test]
    fn both_kinds_of_file_give_text_as_it_is_written() {
        let expected = [("version", "1.10"), ("n", "007"), ("word", "a b"), ("e", "")];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(values("version: 1.10\nn: 007\nword: a b\ne: ''\n"), expected);
        assert_eq!(
            values("{\"version\": \"1.10\", \"n\": \"007\", \"word\": \"a b\", \"e\": \"\"}"),
            expected
        );
        let dotenv = "# release\r\n\nexport version=1.10 # soon\r\nn = '007'\nword=\"a b\" # x\ne=\n";
        assert_eq!(values(dotenv), expected);
        assert_eq!(values("# nothing\n"), []);
        assert_eq!(
            values("a=\"\\\"x\\\\\"\nb=c=d\nf=a#b\n").concat_values(),
            "\"x\\ c=d a#b"
        );
    }

    trait ConcatValues {
        fn concat_values(self) -> String;
    }

    impl ConcatValues for Vec<(String, String)> {
        fn concat_values(self) -> String {
            self.into_iter()
                .map(|(_, value)| value)
                .collect::<Vec<_>>()
                .join(" ")
        }
    }

    #[test]
    fn what_is_neither_is_reported_with_its_line() {
        for (text, start, end) in [
            ("a=1\nnonsense\n", 4, 12),
            ("a='x\n", 0, 4),
            ("a=\"x\\\"\n", 0, 6),
            ("a: [\n", 3, 5),
        ] {
            let mut report = Report::default();
            read(text, 0, &mut report);
            let problems = report.into_sorted();
            let label = &problems[0].labels[0];
            assert_eq!(problems.len(), 1, "{text}");
            assert!(
                (start..=end).contains(&label.span.range().start),
                "{text} {label:?}"
            );
        }
    }
}
