//! Which addresses a run is about: `--target` and `--exclude`.

use globset::{GlobBuilder, GlobMatcher};

use crate::model::{Address, RegistryKey, RepositoryName, Tag};

/// The addresses a run is about; all of them by default.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    targets: Vec<GlobMatcher>,
    excludes: Vec<GlobMatcher>,
    is_qualified: bool,
}

/// A pattern of `--target` or `--exclude` cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{pattern}` is not a glob for addresses: {reason}")]
pub struct InvalidScope {
    /// The pattern as it was given.
    pub pattern: String,
    /// What is wrong with it.
    pub reason: String,
}

impl Scope {
    /// Reads the patterns; `is_qualified` says whether addresses carry the registry's name.
    pub fn new(targets: &[String], excludes: &[String], is_qualified: bool) -> Result<Self, InvalidScope> {
        let read = |patterns: &[String]| -> Result<Vec<GlobMatcher>, InvalidScope> {
            patterns.iter().map(|pattern| read_glob(pattern)).collect()
        };
        Ok(Self {
            targets: read(targets)?,
            excludes: read(excludes)?,
            is_qualified,
        })
    }

    /// Whether the run is about this tag.
    pub fn contains(&self, registry: &RegistryKey, repository: &RepositoryName, tag: &Tag) -> bool {
        if self.targets.is_empty() && self.excludes.is_empty() {
            return true;
        }
        let address = Address {
            registry: registry.clone(),
            repository: repository.clone(),
            tag: tag.clone(),
        };
        let text = address.to_text(self.is_qualified);
        let any = |globs: &[GlobMatcher]| globs.iter().any(|glob| glob.is_match(&text));
        (self.targets.is_empty() || any(&self.targets)) && !any(&self.excludes)
    }
}

fn read_glob(pattern: &str) -> Result<GlobMatcher, InvalidScope> {
    GlobBuilder::new(pattern)
        .literal_separator(false)
        .build()
        .map(|glob| glob.compile_matcher())
        .map_err(|error| InvalidScope {
            pattern: pattern.escape_debug().to_string(),
            reason: error.kind().to_string(),
        })
}
