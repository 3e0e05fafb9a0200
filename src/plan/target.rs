//! Templates for targets: text with `${...}` expressions.

use std::borrow::Cow;

use jiff::Timestamp;
use regex::Captures;
use semver::Version;

use crate::diagnostic::Span;
use crate::model::{Digest, RepositoryName, Tag};

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
    /// Text as it is, variables filled in.
    Text(String),
    /// A name by itself, without filters.
    Name(Name),
}

/// Something a template can name that is not a variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Name {
    Tag,
    Repository,
    RepositoryName,
    Digest,
    ShortDigest,
    PushedAt,
    Semver,
    Major,
    Minor,
    Patch,
    Pre,
    Build,
    Capture(String),
}

/// What the names of a template stand for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scope<'a> {
    pub(super) repository: &'a RepositoryName,
    pub(super) source: Option<&'a Tag>,
    pub(super) digest: Option<Digest>,
    pub(super) pushed_at: Option<Timestamp>,
    pub(super) version: Option<&'a Version>,
    pub(super) captures: Option<&'a Captures<'a>>,
}

impl Scope<'_> {
    /// The text a name stands for; `None` if nothing is known of it here.
    fn value(&self, name: &Name) -> Option<Cow<'_, str>> {
        let number = |part: fn(&Version) -> u64| self.version.map(|v| Cow::Owned(part(v).to_string()));
        match name {
            Name::Tag => self.source.map(|tag| Cow::Borrowed(tag.as_str())),
            Name::Repository => Some(Cow::Borrowed(self.repository.as_str())),
            Name::RepositoryName => Some(Cow::Borrowed(self.repository.last_part())),
            Name::Digest => self.digest.map(|digest| Cow::Owned(digest.to_string())),
            Name::ShortDigest => self.digest.map(|digest| Cow::Owned(digest.short())),
            Name::PushedAt => self.pushed_at.map(|time| Cow::Owned(time.to_string())),
            Name::Semver => self.version.map(|version| Cow::Owned(version.to_string())),
            Name::Major => number(|version| version.major),
            Name::Minor => number(|version| version.minor),
            Name::Patch => number(|version| version.patch),
            Name::Pre => self.version.map(|version| Cow::Borrowed(version.pre.as_str())),
            Name::Build => self.version.map(|version| Cow::Borrowed(version.build.as_str())),
            Name::Capture(group) => self.captures.map(|captures| {
                let found = match group.parse() {
                    Ok(number) => captures.get(number),
                    Err(_) => captures.name(group),
                };
                Cow::Borrowed(found.map_or("", |found| found.as_str()))
            }),
        }
    }
}

impl Template {
    /// Fills the template in; `Err` names what is not known.
    pub(super) fn render(&self, scope: &Scope<'_>) -> Result<String, String> {
        let mut rendered = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => rendered.push_str(text),
                Piece::Name(name) => {
                    rendered.push_str(&scope.value(name).ok_or_else(|| format!("{name:?}"))?);
                }
            }
        }
        Ok(rendered)
    }
}
