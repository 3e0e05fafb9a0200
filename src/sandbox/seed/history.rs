//! Plants the tag history of a project: one line a tag, `TAG TAB COMMIT TAB DATE`.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::manifest::Kind;
use super::scheme::Push;
use super::{DEFAULT_BEGIN, SeedError};
use crate::model::{Mutability, RepositoryName, Tag};
use crate::sandbox::State;
use crate::sandbox::state::Caller;

/// What becomes of a tag history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistoryOptions {
    /// The kind of all images.
    pub image: Kind,
    /// Whether the tags of the history are planted; otherwise only its images.
    pub tags: bool,
    /// Whether each image gets a tag `src-COMMIT` as well.
    pub commit_tags: bool,
}

impl Default for HistoryOptions {
    fn default() -> Self {
        Self {
            image: Kind::Docker,
            tags: true,
            commit_tags: false,
        }
    }
}

/// Adds a tag history to a repository: each commit is one image, pushed at the first date that it has.
///
/// Lines are in the order of their dates; a line may leave the date out. Empty lines and lines that begin with `#`
/// are skipped.
pub fn plant_history(
    text: &str,
    owner: &Caller,
    name: &RepositoryName,
    options: HistoryOptions,
    state: &mut State,
) -> Result<(), SeedError> {
    let mut pushes: Vec<Push> = Vec::new();
    let mut known: BTreeMap<&str, usize> = BTreeMap::new();
    let mut last = DEFAULT_BEGIN;
    let lines = text.lines().enumerate();
    for (index, line) in lines.filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#')) {
        let wrong = || SeedError::Line { line: index + 1 };
        let mut columns = line.trim_end_matches('\r').split('\t');
        let (Some(tag), Some(commit)) = (columns.next(), columns.next()) else {
            return Err(wrong());
        };
        let tag: Tag = tag.parse()?;
        let at: Timestamp = match columns.next() {
            Some(date) => date.parse().map_err(|_| wrong())?,
            None => last,
        };
        last = at;
        let at_index = *known.entry(commit).or_insert_with(|| {
            pushes.push(Push {
                image: commit.to_owned(),
                kind: options.image,
                at,
                tags: Vec::new(),
            });
            pushes.len() - 1
        });
        if let Some(push) = pushes.get_mut(at_index)
            && options.tags
        {
            push.tags.push(tag);
        }
    }
    if options.commit_tags {
        for push in &mut pushes {
            push.tags.push(format!("src-{}", push.image).parse()?);
        }
    }
    pushes.sort_by_key(|push| push.at);
    let begin = pushes.first().map_or(DEFAULT_BEGIN, |push| push.at);
    state.seed_repository(owner, name, Mutability::default(), begin);
    pushes.iter().try_for_each(|push| push.plant(name, owner, state))
}
