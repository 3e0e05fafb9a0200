//! Reads YAML into a tree that remembers where everything stands: the only file that names the YAML crate.
//!
//! Scalars are kept as they are written: `1.10`, `007`, `no` and `2024-01-01` are text until somebody asks for a
//! number or a boolean. A tree, rather than typed structs, lets a reader of it report every mistake at once.

use std::fmt;
use std::ops::Range;

use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_yaml::Spanned;
use serde_yaml::options::{DuplicateKeyPolicy, NonFiniteFloatPolicy};

/// The most bytes of a YAML file that are read; ten thousand rules need about three.
pub const BYTES_MAX: usize = 16 << 20;

/// One node of a YAML document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Where it stands, in bytes; of a mapping or a sequence often only where it begins.
    pub span: Range<usize>,
    /// What it holds.
    pub value: Value,
}

/// What a node holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Nothing at all, as after `key:` with no value.
    Empty,
    /// Text, as it is written; `is_plain` if it has no quotes and is no block.
    Scalar {
        /// The text, with quotes and escapes resolved.
        text: String,
        /// Whether it stands without quotes, so that `true` or `5` may mean a boolean or a number.
        is_plain: bool,
    },
    /// A list.
    Sequence(Vec<Node>),
    /// Keys and values in the order they are written, duplicates included.
    Mapping(Vec<(Node, Node)>),
}

/// A text is not YAML, or breaks a limit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct YamlError {
    /// What is wrong, in one line.
    pub message: String,
    /// Where, in bytes.
    pub span: Range<usize>,
}

impl Value {
    /// What kind of node this is, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Empty => "nothing",
            Self::Scalar { .. } => "text",
            Self::Sequence(_) => "a list",
            Self::Mapping(_) => "a mapping",
        }
    }
}

/// Reads one document into a tree.
///
/// Aliases are followed within limits; a second document is an error.
pub fn parse(text: &str) -> Result<Node, YamlError> {
    let raw: Spanned<Raw> = read(text)?;
    Ok(to_node(raw, text))
}

/// Reads one document straight into a type, for files whose every mistake need not be listed.
pub fn from_str<T: DeserializeOwned>(text: &str) -> Result<T, YamlError> {
    read(text)
}

fn read<T: DeserializeOwned>(text: &str) -> Result<T, YamlError> {
    if text.len() > BYTES_MAX {
        let message = format!("the file has {} bytes, {BYTES_MAX} are allowed", text.len());
        return Err(YamlError { message, span: 0..0 });
    }
    let options = serde_yaml::options! {
        budget: serde_yaml::budget! {
            max_nodes: 2_000_000,
            max_events: 5_000_000,
            max_depth: 32,
            max_documents: 1,
            max_anchors: 1_000,
            max_aliases: 10_000,
            max_recorded_anchor_events: 100_000,
        },
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        non_finite_float_policy: NonFiniteFloatPolicy::PassThrough,
        alias_limits: serde_yaml::alias_limits! {
            max_total_replayed_events: 100_000,
            max_replay_stack_depth: 16,
        },
    };
    serde_yaml::from_str_with_options(text, options).map_err(|error| to_yaml_error(&error, text))
}

fn to_yaml_error(error: &serde_yaml::Error, text: &str) -> YamlError {
    let shown = error.without_snippet().to_string();
    let message = shown.lines().next().unwrap_or_default();
    // The crate ends its messages with the position, which the caller shows in its own way.
    let message = message
        .rsplit_once(" at line ")
        .map_or(message, |(message, _)| message);
    let message = match message.strip_prefix("budget breached: ") {
        Some(breach) if breach.starts_with("Documents") => {
            "a second document begins here, one is allowed".to_owned()
        }
        Some(breach) if breach.contains("Anchor") || breach.contains("Alias") => {
            "what the aliases of the file stand for is too large".to_owned()
        }
        Some(breach) if breach.starts_with("Depth") => "the file is nested too deeply".to_owned(),
        Some(_) => "the file is too large".to_owned(),
        None => message.to_owned(),
    };
    let span = error.location().map_or(0..0, |location| {
        if location.span().byte_offset().is_some() {
            byte_range(location.span(), text)
        } else {
            position(location.line(), location.column(), text)
        }
    });
    YamlError { message, span }
}

/// The character at this line and column, both counted from 1, as a range of bytes.
fn position(line: u64, column: u64, text: &str) -> Range<usize> {
    let skip = |count: u64| usize::try_from(count.saturating_sub(1)).unwrap_or(usize::MAX);
    let Some(written) = text.split_inclusive('\n').nth(skip(line)) else {
        return text.len()..text.len();
    };
    let line_start = text
        .split_inclusive('\n')
        .take(skip(line))
        .map(str::len)
        .sum::<usize>();
    let in_line = written.trim_end().char_indices().nth(skip(column));
    let start = line_start + in_line.map_or(written.trim_end().len(), |(at, _)| at);
    start..start + in_line.map_or(0, |(_, c)| c.len_utf8())
}

fn byte_range(span: serde_yaml::Span, text: &str) -> Range<usize> {
    let in_text = |offset: Option<u64>| {
        let offset = usize::try_from(offset.unwrap_or_default())
            .unwrap_or(text.len())
            .min(text.len());
        (0..=offset)
            .rev()
            .find(|&at| text.is_char_boundary(at))
            .unwrap_or_default()
    };
    let end = span
        .byte_offset()
        .zip(span.byte_len())
        .map(|(offset, len)| offset + len);
    let start = in_text(span.byte_offset());
    start..in_text(end).max(start)
}

/// What serde sees; scalars that it takes for numbers and the like are read again from the source.
enum Raw {
    Text(String),
    Inferred,
    Sequence(Vec<Spanned<Raw>>),
    Mapping(Vec<(Spanned<Raw>, Spanned<Raw>)>),
}

fn to_node(raw: Spanned<Raw>, text: &str) -> Node {
    let span = byte_range(raw.defined.span(), text);
    let written = text.get(span.clone()).unwrap_or_default();
    let is_plain = !written.starts_with(['"', '\'', '|', '>', '!']);
    let value = match raw.value {
        Raw::Text(text) => Value::Scalar { text, is_plain },
        Raw::Inferred if written.trim().is_empty() => Value::Empty,
        Raw::Inferred => {
            let quotes: &[char] = &['"', '\''];
            Value::Scalar {
                text: written.trim().trim_matches(quotes).to_owned(),
                is_plain,
            }
        }
        Raw::Sequence(items) => Value::Sequence(items.into_iter().map(|item| to_node(item, text)).collect()),
        Raw::Mapping(entries) => Value::Mapping(
            entries
                .into_iter()
                .map(|(key, value)| (to_node(key, text), to_node(value, text)))
                .collect(),
        ),
    };
    Node { span, value }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML node")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Raw, E> {
        Ok(Raw::Inferred)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Raw, E> {
        Ok(Raw::Inferred)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Raw, E> {
        Ok(Raw::Inferred)
    }

    fn visit_i128<E>(self, _: i128) -> Result<Raw, E> {
        Ok(Raw::Inferred)
    }

    fn visit_u128<E>(self, _: u128) -> Result<Raw, E> {
        Ok(Raw::Inferred)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Raw, E> {
        Ok(Raw::Inferred)
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Inferred)
    }

    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Inferred)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Raw, D::Error> {
        Raw::deserialize(deserializer)
    }

    fn visit_str<E>(self, text: &str) -> Result<Raw, E> {
        Ok(Raw::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Raw, E> {
        Ok(Raw::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Raw, A::Error> {
        let mut sequence = Vec::new();
        while let Some(item) = items.next_element()? {
            sequence.push(item);
        }
        Ok(Raw::Sequence(sequence))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Raw, A::Error> {
        let mut mapping = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            mapping.push(entry);
        }
        Ok(Raw::Mapping(mapping))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(node: &Node) -> Vec<&str> {
        match &node.value {
            Value::Empty => vec![""],
            Value::Scalar { text, .. } => vec![text],
            Value::Sequence(items) => items.iter().flat_map(texts).collect(),
            Value::Mapping(entries) => entries
                .iter()
                .flat_map(|(k, v)| [texts(k), texts(v)].concat())
                .collect(),
        }
    }

    #[test]
    fn scalars_stay_as_they_are_written() {
        let written = [
            "1.10",
            "007",
            "0x10",
            "1e3",
            "no",
            "on",
            "null",
            "~",
            "2024-01-01",
            "1_000",
            "true",
            "-5",
            ".nan",
            "+1",
            "0o17",
            "1.0e999",
            "340282366920938463463374607431768211456",
            "a b",
            "é",
        ];
        let yaml = format!("[{}]", written.join(", "));
        assert_eq!(texts(&parse(&yaml).unwrap()), written);
        let yaml = written.map(|w| format!("{w}: {w}\n")).concat();
        let expected: Vec<&str> = written.iter().flat_map(|w| [*w, *w]).collect();
        assert_eq!(texts(&parse(&yaml).unwrap()), expected);
    }

    #[test]
    fn quotes_blocks_tags_and_aliases_are_resolved() {
        let yaml =
            "a: \"1.10\"\nb: '007'\nc: |\n  x\n  y\nd: &d 1.0\ne: *d\nf: !!str 5\ng: !!int \"7\"\nh:\n";
        let node = parse(yaml).unwrap();
        assert_eq!(
            texts(&node),
            [
                "a", "1.10", "b", "007", "c", "x\ny\n", "d", "1.0", "e", "1.0", "f", "5", "g", "7", "h", ""
            ]
        );
    }

    #[test]
    fn spans_are_bytes_of_the_source() {
        let yaml = "é: [x, 1.10]\nb: \"q\"\n";
        let Value::Mapping(entries) = parse(yaml).unwrap().value else {
            panic!()
        };
        let (key, list) = &entries[0];
        assert_eq!(&yaml[key.span.clone()], "é");
        let Value::Sequence(items) = &list.value else {
            panic!()
        };
        assert_eq!(&yaml[items[1].span.clone()], "1.10");
        assert_eq!(&yaml[entries[1].1.span.clone()], "\"q\"");
    }

    #[test]
    fn duplicate_keys_are_passed_on() {
        let Value::Mapping(entries) = parse("a: 1\na: 2\n").unwrap().value else {
            panic!()
        };
        assert_eq!(entries.len(), 2);
    }

    #[test]
    fn what_is_no_yaml_has_a_position() {
        for (yaml, start) in [
            ("a: [1\nb: 2\n", 7),
            ("a: b: c\n", 4),
            ("a: 1\n---\nb: 2\n", 5),
            ("é: 'x\n", 4),
            ("a: *nowhere\n", 3),
        ] {
            let error = parse(yaml).unwrap_err();
            assert!(
                !error.message.is_empty() && !error.message.contains('\n'),
                "{error:?}"
            );
            assert_eq!(error.span.start, start, "{yaml:?} {error:?}");
        }
    }

    #[test]
    fn bombs_are_refused_quickly() {
        let mut laughs = "a: &a [x,x,x,x,x,x,x,x,x]\n".to_owned();
        for (from, to) in [
            ("a", "b"),
            ("b", "c"),
            ("c", "d"),
            ("d", "e"),
            ("e", "f"),
            ("f", "g"),
            ("g", "h"),
        ] {
            let nine = vec![format!("*{from}"); 9].join(",");
            laughs = [laughs, format!("{to}: &{to} [{nine}]\n")].concat();
        }
        assert!(parse(&laughs).is_err());
        assert!(parse(&"[".repeat(100_000)).is_err());
        assert!(parse(&"- ".repeat(100_000)).is_err());
    }
}
