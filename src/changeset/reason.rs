//! Why a change is made, in the words of a changeset.

use std::fmt;

use super::SkipReason;
use crate::model::{Digest, Tag};
use crate::plan::rank::Order;

/// Why a change is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// A rule maps this source to the tag.
    From {
        /// The source tag, or the digest that was selected.
        source: Origin,
        /// How the source was chosen, and among how many images, where there were several.
        picked: Option<(Order, usize)>,
    },
    /// The tag keeps the image that these tags leave.
    BackupOf(Vec<Tag>),
    /// The tag was the source of a rename to these.
    RenamedTo(Vec<Tag>),
    /// A rollback puts the tag back where a run found it.
    Rollback,
    /// As a saved changeset says it.
    Saved(String),
}

/// Where an image was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Under this tag.
    Tag(Tag),
    /// By its digest.
    Digest(Digest),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::From { source, picked } => {
                match source {
                    Origin::Tag(tag) => write!(f, "from {tag}")?,
                    Origin::Digest(digest) => write!(f, "from sha256:{}", digest.short())?,
                }
                match picked {
                    None => Ok(()),
                    Some((Order::PushTime, count)) => write!(f, " (newest of {count})"),
                    Some((Order::Semver, count)) => write!(f, " (highest of {count})"),
                    Some((Order::Natural, count)) => {
                        write!(f, " (highest of {count}, in natural order)")
                    }
                }
            }
            Self::BackupOf(tags) => write!(f, "backup of {}", list(tags)),
            Self::RenamedTo(tags) => write!(f, "renamed to {}", list(tags)),
            Self::Rollback => f.write_str("rollback"),
            Self::Saved(text) => f.write_str(text),
        }
    }
}

fn list(tags: &[Tag]) -> String {
    tags.iter().map(Tag::as_str).collect::<Vec<_>>().join(", ")
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kept => f.write_str("it exists, and the rule keeps existing tags"),
            Self::NotAhead => f.write_str("it is on an image that ranks as high or higher"),
            Self::Protected => f.write_str("protected"),
            Self::NotApproved => f.write_str("not approved"),
            Self::Requires(tag) => write!(f, "it needs `{tag}`, which is not changed"),
            Self::BackupOf(tag) => write!(f, "backup of `{tag}`, which does not move"),
            Self::NotPicked(tag) => write!(f, "another source was picked for `{tag}`"),
            Self::Saved(text) => f.write_str(text),
        }
    }
}

impl SkipReason {
    /// Reads a reason back from its words.
    pub(super) fn from_words(text: &str) -> Self {
        let tag = text.split('`').nth(1).and_then(|tag| tag.parse::<Tag>().ok());
        let about_tag = [Self::Requires, Self::BackupOf, Self::NotPicked];
        let about_tag = tag
            .into_iter()
            .flat_map(|tag| about_tag.map(|reason| reason(tag.clone())));
        [Self::Kept, Self::NotAhead, Self::Protected, Self::NotApproved]
            .into_iter()
            .chain(about_tag)
            .find(|reason| reason.to_string() == text)
            .unwrap_or_else(|| Self::Saved(text.to_owned()))
    }
}
