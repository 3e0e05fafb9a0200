//! From a YAML tree to the structs of the plan file, reporting everything that does not fit.

use std::collections::BTreeMap;

use schemars::JsonSchema;

use super::report::{Report, did_you_mean, listed, quoted};
use crate::diagnostic::{Code, Diagnostic, Span};
use crate::yaml::{Node, Value};

/// The most items of a list: a plan file with more is better split, and a longer list of tags is a mapping file.
const ITEMS_MAX: usize = 10_000;

/// The most entries of a mapping whose keys the user makes up.
pub(super) const ENTRIES_MAX: usize = 100_000;

/// What reading a file needs to hand: which source it is, and where problems go.
pub(super) struct Reader<'a> {
    pub(super) source: u32,
    pub(super) text: &'a str,
    pub(super) report: &'a mut Report,
}

/// Something that can stand in a plan file.
pub(super) trait FromNode: Sized {
    /// Reads it; whatever does not fit is reported. `key` names, in messages, where the node stands.
    fn from_node(node: &Node, key: &str, reader: &mut Reader<'_>) -> Option<Self>;
}

/// A scalar as it is written, with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Text {
    pub(super) text: String,
    pub(super) span: Span,
}

/// A value with its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spanned<T> {
    pub(super) value: T,
    pub(super) span: Span,
}

/// One value, or a list of them; nothing if any of them was reported.
#[derive(Debug, Clone)]
pub(super) struct OneOrMany<T>(pub(super) Vec<T>);

/// A list, without the items that were reported.
#[derive(Debug, Clone)]
pub(super) struct Many<T>(pub(super) Vec<T>);

/// A mapping whose keys the user makes up, in the order they are written; a value is absent if it was reported.
#[derive(Debug, Clone)]
pub(super) struct Entries<T>(pub(super) Vec<(Text, Option<T>)>);

/// Where a mapping of the file begins, and which of its keys are there but were reported.
#[derive(Debug, Clone)]
pub(super) struct Origin {
    pub(super) span: Span,
    pub(super) broken: Vec<&'static str>,
}

/// A value out of a fixed set of words.
pub(super) trait Choice: Copy + JsonSchema + 'static {
    /// Every word with what it means.
    const WORDS: &'static [(&'static str, Self)];
}

impl Reader<'_> {
    pub(super) fn span(&self, node: &Node) -> Span {
        let byte = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        Span {
            source: self.source,
            start: byte(node.span.start),
            end: byte(node.span.end),
        }
    }

    fn wrong_type(&mut self, node: &Node, key: &str, expected: &str) {
        let problem = if node.value == Value::Empty {
            let help = if self.is_after_tag(node) {
                "a text that begins with `!` needs quotes, since it is a tag of YAML otherwise".to_owned()
            } else {
                format!("give it {expected}, or take the key away")
            };
            Diagnostic::error(Code::WrongType, format!("{} has no value", quoted(key))).help(help)
        } else {
            let message = format!("{} takes {expected}, not {}", quoted(key), node.value.kind());
            Diagnostic::error(Code::WrongType, message)
        };
        let span = self.span(node);
        self.report.push(problem.at(span, ""));
    }

    /// Whether there are no more items than allowed; else it is reported, and none of them is looked at.
    fn is_short(&mut self, node: &Node, key: &str, (count, max): (usize, usize)) -> bool {
        if count > max {
            let problem = Diagnostic::error(
                Code::TooMany,
                format!("{} has {count} entries, {max} are allowed", quoted(key)),
            );
            let span = self.span(node);
            self.report.push(problem.at(span, ""));
        }
        count <= max
    }

    /// Whether what looks like no value is a tag of YAML, such as in `- !shop/legacy-*`.
    fn is_after_tag(&self, node: &Node) -> bool {
        let before = self.text.get(..node.span.start).unwrap_or_default().trim_end();
        let word = before.rsplit([' ', '\n', '\t', ',', '[', '{']).next();
        word.is_some_and(|word| word.starts_with('!'))
    }

    /// A scalar that means something; `expected` says what else it should have been.
    fn parsed<T>(
        &mut self,
        node: &Node,
        key: &str,
        expected: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<Spanned<T>> {
        let Value::Scalar { text, .. } = &node.value else {
            self.wrong_type(node, key, expected);
            return None;
        };
        let span = self.span(node);
        let value = parse(text);
        if value.is_none() {
            let message = format!("{} takes {expected}, not {}", quoted(key), quoted(text));
            self.report
                .push(Diagnostic::error(Code::InvalidValue, message).at(span, ""));
        }
        value.map(|value| Spanned { value, span })
    }
}

/// The keys of a mapping, taken out one by one; what is left at the end is unknown.
pub(super) struct Fields<'n> {
    entries: BTreeMap<&'n str, (Span, &'n Node)>,
    known: Vec<&'static str>,
    noun: &'static str,
    origin: Origin,
}

impl<'n> Fields<'n> {
    /// Begins with all keys of a mapping; a key that stands twice is reported with both places.
    ///
    /// `noun` is what messages call the mapping, such as `a rule`.
    pub(super) fn of(node: &'n Node, noun: &'static str, key: &str, reader: &mut Reader<'_>) -> Option<Self> {
        let Value::Mapping(pairs) = &node.value else {
            reader.wrong_type(node, key, "a mapping");
            return None;
        };
        let mut entries: BTreeMap<&str, (Span, &Node)> = BTreeMap::new();
        for (key_node, value) in pairs {
            let Some(text) = key_text(key_node, reader) else {
                continue;
            };
            let span = reader.span(key_node);
            if let Some((first, _)) = entries.get(text) {
                let first = *first;
                reader.report.push(duplicate_key(text, first, span));
            } else {
                entries.insert(text, (span, value));
            }
        }
        Some(Self {
            entries,
            known: Vec::new(),
            noun,
            origin: Origin {
                span: pairs
                    .first()
                    .map_or(reader.span(node), |(first, _)| reader.span(first)),
                broken: Vec::new(),
            },
        })
    }

    /// Takes a key that must be there.
    pub(super) fn required<T: FromNode>(&mut self, key: &'static str, reader: &mut Reader<'_>) -> Option<T> {
        if !self.entries.contains_key(key) {
            let problem = Diagnostic::error(Code::MissingKey, format!("{} lacks the key `{key}`", self.noun));
            reader.report.push(problem.at(self.origin.span, ""));
        }
        self.optional(key, reader)
    }

    /// Takes a key that may be there.
    pub(super) fn optional<T: FromNode>(&mut self, key: &'static str, reader: &mut Reader<'_>) -> Option<T> {
        self.known.push(key);
        let (_, node) = self.entries.remove(key)?;
        let read = T::from_node(node, key, reader);
        if read.is_none() {
            self.origin.broken.push(key);
        }
        read
    }

    /// Reports the keys that nobody took.
    pub(super) fn finish(self, reader: &mut Reader<'_>) -> Origin {
        let mut unknown: Vec<(Span, &str)> = self
            .entries
            .into_iter()
            .map(|(key, (span, _))| (span, key))
            .collect();
        unknown.sort_unstable();
        for (span, key) in unknown {
            if reader.report.is_full() {
                reader.report.leave_out();
                continue;
            }
            let all = format!("it takes {}", listed(self.known.iter().copied()));
            reader.report.push(
                Diagnostic::error(
                    Code::UnknownKey,
                    format!("{} has no key {}", self.noun, quoted(key)),
                )
                .at(span, "")
                .help(did_you_mean(key, self.known.iter().copied(), all)),
            );
        }
        self.origin
    }
}

fn key_text<'n>(node: &'n Node, reader: &mut Reader<'_>) -> Option<&'n str> {
    if let Value::Scalar { text, .. } = &node.value {
        return Some(text);
    }
    let problem = Diagnostic::error(
        Code::WrongType,
        format!("a key must be text, not {}", node.value.kind()),
    );
    let span = reader.span(node);
    reader.report.push(problem.at(span, ""));
    None
}

fn duplicate_key(key: &str, first: Span, second: Span) -> Diagnostic {
    Diagnostic::error(
        Code::DuplicateKey,
        format!("the key {} is written twice", quoted(key)),
    )
    .at(second, "again here")
    .at(first, "first here")
    .help("keep one of them")
}

impl FromNode for Text {
    fn from_node(node: &Node, key: &str, reader: &mut Reader<'_>) -> Option<Self> {
        if let Value::Scalar { text, .. } = &node.value {
            return Some(Self {
                text: text.clone(),
                span: reader.span(node),
            });
        }
        reader.wrong_type(node, key, "text");
        None
    }
}

impl FromNode for Spanned<bool> {
    fn from_node(node: &Node, key: &str, reader: &mut Reader<'_>) -> Option<Self> {
        reader.parsed(node, key, "`true` or `false`", |text| text.parse().ok())
    }
}

impl FromNode for Spanned<u64> {
    fn from_node(node: &Node, key: &str, reader: &mut Reader<'_>) -> Option<Self> {
        reader.parsed(node, key, "a whole number from 0 on", |text| {
            let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse().ok().filter(|_| is_number)
        })
    }
}

impl FromNode for Spanned<f64> {
    fn from_node(node: &Node, key: &str, reader: &mut Reader<'_>) -> Option<Self> {
        reader.parsed(node, key, "a number from 0.1 to 10,000", |text| {
            text.parse()
                .ok()
                .filter(|number| (0.1..=10_000.0).contains(number))
        })
    }
}

impl<T: Choice> FromNode for Spanned<T> {
    fn from_node(node: &Node, key: &str, reader: &mut Reader<'_>) -> Option<Self> {
        let text = Text::from_node(node, key, reader)?;
        let words = || T::WORDS.iter().map(|(word, _)| *word);
        if let Some((_, value)) = T::WORDS.iter().find(|(word, _)| *word == text.text) {
            return Some(Self {
                value: *value,
                span: text.span,
            });
        }
        let problem = Diagnostic::error(
            Code::UnknownWord,
            format!("{} cannot be {}", quoted(key), quoted(&text.text)),
        )
        .at(text.span, "")
        .help(did_you_mean(
            &text.text,
            words(),
            format!("it is one of {}", listed(words())),
        ));
        reader.report.push(problem);
        None
    }
}

impl<T: FromNode> FromNode for OneOrMany<T> {
    fn from_node(node: &Node, key: &str, reader: &mut Reader<'_>) -> Option<Self> {
        match &node.value {
            Value::Sequence(items) => {
                let Many(read) = Many::from_node(node, key, reader)?;
                (read.len() == items.len()).then_some(Self(read))
            }
            _ => T::from_node(node, key, reader).map(|item| Self(vec![item])),
        }
    }
}

impl<T: FromNode> FromNode for Many<T> {
    fn from_node(node: &Node, key: &str, reader: &mut Reader<'_>) -> Option<Self> {
        let Value::Sequence(items) = &node.value else {
            reader.wrong_type(node, key, "a list");
            return None;
        };
        if items.is_empty() {
            let problem = Diagnostic::error(Code::EmptyList, format!("{} is an empty list", quoted(key)));
            let span = reader.span(node);
            reader.report.push(
                problem
                    .at(span, "")
                    .help("name at least one, or take the key away"),
            );
        }
        if !reader.is_short(node, key, (items.len(), ITEMS_MAX)) {
            return None;
        }
        let read = items.iter().filter_map(|item| T::from_node(item, key, reader));
        Some(Self(read.collect()))
    }
}

impl<T: FromNode> FromNode for Entries<T> {
    fn from_node(node: &Node, key: &str, reader: &mut Reader<'_>) -> Option<Self> {
        let Value::Mapping(pairs) = &node.value else {
            reader.wrong_type(node, key, "a mapping");
            return None;
        };
        if !reader.is_short(node, key, (pairs.len(), ENTRIES_MAX)) {
            return None;
        }
        let mut places: BTreeMap<&str, Span> = BTreeMap::new();
        let mut entries = Vec::with_capacity(pairs.len());
        for (key_node, value) in pairs {
            let Some(text) = key_text(key_node, reader) else {
                continue;
            };
            let span = reader.span(key_node);
            if let Some(first) = places.insert(text, span) {
                reader.report.push(duplicate_key(text, first, span));
                continue;
            }
            let value = T::from_node(value, text, reader);
            let text = text.to_owned();
            entries.push((Text { text, span }, value));
        }
        Some(Self(entries))
    }
}
