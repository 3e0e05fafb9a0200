//! The tags of a repository from a file, to try rules on without a registry: `TAG`, then perhaps a TAB and a digest or
//! commit, then perhaps a TAB and a push time.

use jiff::Timestamp;

use crate::inventory::{Image, Inventory};
use crate::model::{Digest, RepositoryName, Tag};

/// A line that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub(super) struct InvalidLine {
    line: usize,
    reason: String,
}

/// Reads the file. Empty lines and lines that begin with `#` are skipped.
///
/// A tag without a digest or commit has an image of its own; one commit is one image.
pub(super) fn parse(text: &str, repository: RepositoryName) -> Result<Inventory, InvalidLine> {
    let mut inventory = Inventory::empty(repository);
    let lines = text.lines().enumerate();
    for (index, line) in lines.filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#')) {
        let wrong = |reason: String| InvalidLine {
            line: index + 1,
            reason,
        };
        let mut columns = line.split('\t').map(str::trim);
        let name = columns.next().unwrap_or_default();
        let tag: Tag = name
            .parse()
            .map_err(|error: crate::model::InvalidName| wrong(error.to_string()))?;
        let image = columns.next().filter(|image| !image.is_empty()).unwrap_or(name);
        let digest = image.parse().unwrap_or_else(|_| Digest::of(image.as_bytes()));
        if let Some(time) = columns.next().filter(|time| !time.is_empty()) {
            let pushed_at = time.parse::<Timestamp>().map_err(|_| {
                wrong(format!(
                    "`{}` is no time like 2024-01-31T12:00:00Z",
                    time.escape_debug()
                ))
            })?;
            let image: &mut Image = inventory.images.entry(digest).or_default();
            image.pushed_at.get_or_insert(pushed_at);
        }
        inventory.tags.insert(tag, digest);
    }
    Ok(inventory)
}
