//! Templates for targets: text with `${...}` expressions.
//!
//! Most templates are names and text in a row; these are put together without a template engine, which only comes in
//! where an expression does more than name something. A property test holds the two to the same results.

use std::borrow::Cow;

use jiff::Timestamp;
use minijinja::Value;
use regex::bytes::Captures;
use semver::Version;

use super::expression::Expression;
use crate::diagnostic::Span;
use crate::model::{Digest, InvalidName, RepositoryName, Tag};

/// What a target is called, as text with `${...}` expressions.
#[derive(Debug, Clone)]
pub struct Template {
    /// The template as it is written.
    pub text: String,
    /// Where it stands.
    pub span: Span,
    pub(super) pieces: Vec<Piece>,
}

/// A part of a template.
#[derive(Debug, Clone)]
pub(super) enum Piece {
    /// Text that is known before any image is: literal, or the value of a variable.
    Text { text: String, is_value: bool },
    /// A name by itself.
    Name(Name),
    /// More than a name; what variables stand for is given beside it.
    Expression {
        expression: Expression,
        names: Vec<(String, Name)>,
        variables: Vec<(String, String)>,
    },
}

/// Something a template can name that is not a variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Name {
    Tag,
    Repository,
    RepositoryLastPart,
    Digest,
    ShortDigest,
    PushedAt,
    Semver,
    Major,
    Minor,
    Patch,
    Pre,
    Build,
    Group(usize),
    NamedGroup(String),
}

/// What the names of a template stand for; what is absent is not known yet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scope<'a> {
    pub(super) repository: &'a RepositoryName,
    pub(super) source: Option<&'a Tag>,
    pub(super) digest: Option<Digest>,
    pub(super) pushed_at: Option<Timestamp>,
    pub(super) version: Option<&'a Version>,
    pub(super) captures: Option<&'a Captures<'a>>,
}

/// Why a template gives no tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TargetError {
    /// A name is not known of this source.
    Unknown(&'static str),
    /// An expression fails.
    Failed(String),
    /// What comes out is no valid tag.
    Invalid(InvalidName),
}

impl Name {
    /// The names that every source has, besides `tag`.
    pub(super) const OF_IMAGES: [(&'static str, Self); 5] = [
        ("repository", Self::Repository),
        ("repository_name", Self::RepositoryLastPart),
        ("digest", Self::Digest),
        ("short_digest", Self::ShortDigest),
        ("pushed_at", Self::PushedAt),
    ];

    /// The names that a semver selector provides.
    pub(super) const OF_VERSIONS: [(&'static str, Self); 6] = [
        ("semver", Self::Semver),
        ("major", Self::Major),
        ("minor", Self::Minor),
        ("patch", Self::Patch),
        ("pre", Self::Pre),
        ("build", Self::Build),
    ];

    /// A value of the right kind, to try an expression out before there is a source.
    fn example(&self) -> Value {
        match self {
            Self::Major | Self::Minor | Self::Patch => Value::from(1),
            Self::Digest => {
                Value::from("sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
            }
            Self::PushedAt => Value::from("2024-01-15T12:00:00Z"),
            _ => Value::from("1.2.3"),
        }
    }

    /// What a named capture is called; one that is called as a part of a version stands in for it.
    pub(super) fn of_group(group: &str) -> Self {
        let own = Self::OF_VERSIONS.iter().find(|(name, _)| *name == group);
        own.map_or_else(|| Self::NamedGroup(group.to_owned()), |(_, name)| name.clone())
    }

    /// How messages speak of it.
    fn noun(&self) -> &'static str {
        match self {
            Self::Tag => "tag",
            Self::Repository | Self::RepositoryLastPart => "repository",
            Self::Digest | Self::ShortDigest => "digest",
            Self::PushedAt => "push time",
            Self::Semver | Self::Major | Self::Minor | Self::Patch | Self::Pre | Self::Build => "version",
            Self::Group(_) | Self::NamedGroup(_) => "captures",
        }
    }
}

impl Scope<'_> {
    /// The text that a name stands for.
    fn text(&self, name: &Name) -> Option<Cow<'_, str>> {
        let part = |part: fn(&Version) -> Cow<'_, str>, group: &str| {
            let own = self.version.map(part);
            own.or_else(|| self.captures.map(|captures| matched(captures.name(group))))
        };
        match name {
            Name::Tag => self.source.map(|tag| Cow::Borrowed(tag.as_str())),
            Name::Repository => Some(Cow::Borrowed(self.repository.as_str())),
            Name::RepositoryLastPart => Some(Cow::Borrowed(self.repository.last_part())),
            Name::Digest => self.digest.map(|digest| Cow::Owned(digest.to_string())),
            Name::ShortDigest => self.digest.map(|digest| Cow::Owned(digest.short())),
            Name::PushedAt => self.pushed_at.map(|time| Cow::Owned(time.to_string())),
            Name::Semver => part(|version| version.to_string().into(), "semver"),
            Name::Major => part(|version| version.major.to_string().into(), "major"),
            Name::Minor => part(|version| version.minor.to_string().into(), "minor"),
            Name::Patch => part(|version| version.patch.to_string().into(), "patch"),
            Name::Pre => part(|version| version.pre.as_str().into(), "pre"),
            Name::Build => part(|version| version.build.as_str().into(), "build"),
            Name::Group(number) => self.captures.map(|captures| matched(captures.get(*number))),
            Name::NamedGroup(group) => self.captures.map(|captures| matched(captures.name(group))),
        }
    }

    /// The value that a name stands for in an expression: numbers can be computed with.
    fn value(&self, name: &Name) -> Option<Value> {
        match (name, self.version) {
            (Name::Major, Some(version)) => Some(Value::from(version.major)),
            (Name::Minor, Some(version)) => Some(Value::from(version.minor)),
            (Name::Patch, Some(version)) => Some(Value::from(version.patch)),
            _ => self.text(name).map(|text| Value::from(text.as_ref())),
        }
    }
}

/// What a group matched; a group that took no part in the match stands for nothing.
fn matched(group: Option<regex::bytes::Match<'_>>) -> Cow<'_, str> {
    group.map_or(Cow::Borrowed(""), |group| {
        String::from_utf8_lossy(group.as_bytes())
    })
}

impl Piece {
    /// What an expression comes to, if it names variables alone; else `None`, unless it must fail on any source.
    pub(super) fn try_out(&self) -> Result<Option<String>, String> {
        let Self::Expression {
            expression,
            names,
            variables,
        } = self
        else {
            return Ok(None);
        };
        let value = |wanted: &str| match names.iter().find(|(name, _)| name == wanted) {
            Some((_, name)) => Some(name.example()),
            None => value_of(variables, wanted),
        };
        match expression.evaluate(value) {
            Ok(text) => Ok(names.is_empty().then_some(text)),
            Err(failure) if failure.is_certain || names.is_empty() => Err(failure.reason),
            Err(_) => Ok(None),
        }
    }
}

impl Template {
    /// The text, if it is the same for every source.
    pub(super) fn constant(&self) -> Option<String> {
        let texts = self.pieces.iter().map(|piece| match piece {
            Piece::Text { text, .. } => Some(text.as_str()),
            Piece::Name(_) | Piece::Expression { .. } => None,
        });
        texts.collect()
    }

    /// Everything that it names, besides variables.
    pub(super) fn names(&self) -> impl Iterator<Item = &Name> {
        self.pieces.iter().flat_map(|piece| {
            let (one, many): (_, &[(String, Name)]) = match piece {
                Piece::Text { .. } => (None, &[]),
                Piece::Name(name) => (Some(name), &[]),
                Piece::Expression { names, .. } => (None, names),
            };
            one.into_iter().chain(many.iter().map(|(_, name)| name))
        })
    }

    /// What the template makes of a source.
    pub(super) fn target(&self, scope: &Scope<'_>) -> Result<Tag, TargetError> {
        let text = self.render(scope)?;
        text.parse().map_err(TargetError::Invalid)
    }

    fn render(&self, scope: &Scope<'_>) -> Result<String, TargetError> {
        let mut rendered = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text { text, .. } => rendered.push_str(text),
                Piece::Name(name) => {
                    let text = scope.text(name).ok_or(TargetError::Unknown(name.noun()))?;
                    rendered.push_str(&text);
                }
                Piece::Expression {
                    expression,
                    names,
                    variables,
                } => rendered.push_str(&evaluate(expression, names, variables, scope)?),
            }
        }
        Ok(rendered)
    }
}

fn evaluate(
    expression: &Expression,
    names: &[(String, Name)],
    variables: &[(String, String)],
    scope: &Scope<'_>,
) -> Result<String, TargetError> {
    if let Some((_, name)) = names.iter().find(|(_, name)| scope.value(name).is_none()) {
        return Err(TargetError::Unknown(name.noun()));
    }
    let value = |wanted: &str| match names.iter().find(|(name, _)| name == wanted) {
        Some((_, name)) => scope.value(name),
        None => value_of(variables, wanted),
    };
    expression
        .evaluate(value)
        .map_err(|failure| TargetError::Failed(failure.reason))
}

fn value_of(variables: &[(String, String)], wanted: &str) -> Option<Value> {
    let (_, value) = variables.iter().find(|(name, _)| name == wanted)?;
    Some(Value::from(value.as_str()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use regex::bytes::Regex;

    use super::*;

    fn template(pieces: Vec<Piece>) -> Template {
        Template {
            text: String::new(),
            span: Span::default(),
            pieces,
        }
    }

    fn all_names() -> Vec<(&'static str, Name)> {
        let mut names = vec![
            ("tag", Name::Tag),
            ("1", Name::Group(1)),
            ("word", Name::NamedGroup("word".into())),
        ];
        names.extend(Name::OF_IMAGES);
        names.extend(Name::OF_VERSIONS);
        names
    }

    proptest! {
        #[test]
        fn a_name_by_itself_is_what_the_template_engine_makes_of_it(
            which in prop::sample::select(all_names()),
            tag in "[a-zA-Z0-9_.-]{1,20}",
            version in (any::<u64>(), 0_u64..9, 0_u64..9, "[a-z]{0,3}"),
            second in 0_i64..4_000_000_000,
            literal in "[ -~]{0,8}",
        ) {
            let tag: Tag = tag.parse().unwrap();
            let regex = Regex::new("(.)(?<word>[a-z]+)?").unwrap();
            let captures = regex.captures(tag.as_str().as_bytes());
            let pre = if version.3.is_empty() { String::new() } else { format!("-{}", version.3) };
            let version = Version::parse(&format!("{}.{}.{}{pre}", version.0, version.1, version.2)).unwrap();
            let repository = "shop/api".parse().unwrap();
            let scope = Scope {
                repository: &repository,
                source: Some(&tag),
                digest: Some(Digest::of(tag.as_str().as_bytes())),
                pushed_at: Timestamp::from_second(second).ok(),
                version: Some(&version),
                captures: captures.as_ref(),
            };
            let (text, name) = which;
            let around = Piece::Text { text: literal, is_value: false };
            let plain = template(vec![around.clone(), Piece::Name(name.clone()), around.clone()]);
            let engine = Piece::Expression {
                expression: Expression::compile(text).unwrap(),
                names: vec![(text.to_owned(), name)],
                variables: Vec::new(),
            };
            let by_engine = template(vec![around.clone(), engine, around]);
            prop_assert_eq!(plain.render(&scope), by_engine.render(&scope));
        }
    }
}
