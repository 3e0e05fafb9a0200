//! Which repositories a rule applies to.

use super::glob::Glob;
use crate::diagnostic::Span;
use crate::model::RepositoryName;

/// Exact names and patterns, less what `!` entries take away.
#[derive(Debug, Clone, Default)]
pub struct RepositorySet {
    /// The names that are written out, in the order they are written.
    pub exact: Vec<(RepositoryName, Span)>,
    /// The patterns.
    pub globs: Vec<Glob>,
    /// What is taken away, wherever it stands, from exact names too.
    pub excluded: Vec<Glob>,
}

impl RepositorySet {
    /// Whether the repository is one of these.
    pub fn matches(&self, repository: &RepositoryName) -> bool {
        let is_named = self.exact.iter().any(|(name, _)| name == repository);
        (is_named || any(&self.globs, repository)) && !any(&self.excluded, repository)
    }

    /// The names that are written out and not taken away, with their places.
    pub fn exact(&self) -> impl Iterator<Item = (&RepositoryName, Span)> {
        self.exact
            .iter()
            .filter(|(name, _)| !any(&self.excluded, name))
            .map(|(name, span)| (name, *span))
    }

    /// Whether the registry's repositories must be listed to know which are meant.
    pub fn has_globs(&self) -> bool {
        !self.globs.is_empty()
    }
}

fn any(globs: &[Glob], repository: &RepositoryName) -> bool {
    globs.iter().any(|glob| glob.matches(repository.as_str()))
}
