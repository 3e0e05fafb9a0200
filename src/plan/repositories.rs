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

#[cfg(test)]
mod tests {
    use super::*;

    fn set(entries: &[&str]) -> RepositorySet {
        let mut set = RepositorySet::default();
        for entry in entries {
            let glob = |text: &str| Glob::new(text, Span::default()).unwrap();
            match entry.strip_prefix('!') {
                Some(text) => set.excluded.push(glob(text)),
                None if entry.contains('*') => set.globs.push(glob(entry)),
                None => set.exact.push((entry.parse().unwrap(), Span::default())),
            }
        }
        set
    }

    #[test]
    fn what_is_taken_away_is_so_wherever_it_stands() {
        for entries in [
            &["shop/*", "!shop/legacy-*", "shop/legacy-api"][..],
            &["!shop/legacy-*", "shop/legacy-api", "shop/*"],
        ] {
            let set = set(entries);
            assert!(set.matches(&"shop/api".parse().unwrap()));
            assert!(!set.matches(&"shop/legacy-api".parse().unwrap()));
            assert!(!set.matches(&"other/api".parse().unwrap()));
            assert_eq!(set.exact().count(), 0);
            assert!(set.has_globs());
        }
    }
}
