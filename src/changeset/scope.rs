//! Which addresses a run is about: `--target` and `--exclude`.

use globset::{Glob, GlobBuilder, GlobMatcher};
use regex_automata::hybrid::dfa::DFA;
use regex_automata::nfa::thompson;
use regex_automata::util::{start, syntax};
use regex_automata::{Anchored, hybrid};

use crate::model::{Address, RegistryKey, RepositoryName, Tag};

/// The addresses a run is about; all of them by default.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    targets: Vec<AddressGlob>,
    excludes: Vec<AddressGlob>,
    is_qualified: bool,
}

/// A pattern of addresses.
#[derive(Debug, Clone)]
struct AddressGlob {
    matcher: GlobMatcher,
    /// The same pattern as an automaton, which can be asked about the beginning of an address; none if it would
    /// be too large.
    automaton: Option<DFA>,
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
        let read = |patterns: &[String]| -> Result<Vec<AddressGlob>, InvalidScope> {
            patterns.iter().map(|pattern| read_glob(pattern)).collect()
        };
        Ok(Self {
            targets: read(targets)?,
            excludes: read(excludes)?,
            is_qualified,
        })
    }

    /// Whether the run is about everything.
    pub fn is_everything(&self) -> bool {
        self.targets.is_empty() && self.excludes.is_empty()
    }

    /// Whether the run is about this tag.
    pub fn contains(&self, registry: &RegistryKey, repository: &RepositoryName, tag: &Tag) -> bool {
        if self.is_everything() {
            return true;
        }
        let text = Address::before_tag(registry, repository, self.is_qualified) + tag.as_str();
        let any = |globs: &[AddressGlob]| globs.iter().any(|glob| glob.matcher.is_match(&text));
        (self.targets.is_empty() || any(&self.targets)) && !any(&self.excludes)
    }

    /// Whether the run can be about a tag of this repository; what it cannot be about need not be read.
    pub fn may_contain(&self, registry: &RegistryKey, repository: &RepositoryName) -> bool {
        if self.is_everything() {
            return true;
        }
        let beginning = Address::before_tag(registry, repository, self.is_qualified);
        let may_be_target = |glob: &AddressGlob| glob.may_match_after(&beginning);
        let is_excluded = |glob: &AddressGlob| glob.matches_all_after(&beginning);
        (self.targets.is_empty() || self.targets.iter().any(may_be_target))
            && !self.excludes.iter().any(is_excluded)
    }
}

impl AddressGlob {
    fn new(glob: &Glob) -> Self {
        Self {
            matcher: glob.compile_matcher(),
            automaton: DFA::builder()
                // The pattern is written for bytes.
                .syntax(syntax::Config::new().utf8(false))
                .thompson(thompson::Config::new().utf8(false))
                .build(glob.regex())
                .ok(),
        }
    }

    /// Whether the pattern matches something that begins so; when in doubt, it does.
    fn may_match_after(&self, beginning: &str) -> bool {
        let Some(automaton) = &self.automaton else {
            return true;
        };
        let mut cache = automaton.create_cache();
        let begin = start::Config::new().anchored(Anchored::Yes);
        let Ok(begin) = automaton.start_state(&mut cache, &begin) else {
            return true;
        };
        let mut next = |state: hybrid::LazyStateID, byte| automaton.next_state(&mut cache, state, byte);
        let end = beginning.bytes().try_fold(begin, &mut next);
        end.map_or(true, |state| !state.is_dead())
    }

    /// Whether the pattern matches all that begins so; when in doubt, it does not.
    fn matches_all_after(&self, beginning: &str) -> bool {
        let pattern = self.matcher.glob().glob();
        // What ends in `*` and matches the beginning, where the `*` may stand for nothing, matches every end.
        pattern.ends_with('*') && !pattern.ends_with("\\*") && self.matcher.is_match(beginning)
    }
}

fn read_glob(pattern: &str) -> Result<AddressGlob, InvalidScope> {
    GlobBuilder::new(pattern)
        .literal_separator(false)
        .build()
        .map(|glob| AddressGlob::new(&glob))
        .map_err(|error| InvalidScope {
            pattern: pattern.escape_debug().to_string(),
            reason: error.kind().to_string(),
        })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn scope(targets: &[&str], excludes: &[&str], is_qualified: bool) -> Scope {
        let owned = |patterns: &[&str]| patterns.iter().map(ToString::to_string).collect::<Vec<_>>();
        Scope::new(&owned(targets), &owned(excludes), is_qualified).unwrap()
    }

    #[test]
    fn a_repository_without_an_address_in_scope_is_told_apart() {
        let repository: RepositoryName = "shop/api".parse().unwrap();
        let key = RegistryKey::default();
        for (targets, excludes, expected) in [
            (&[][..], &[][..], true),
            (&["shop/api:*"], &[], true),
            (&["shop/*"], &[], true),
            (&["*:stable"], &[], true),
            (&["*"], &[], true),
            (&["shop/{api,web}:v[0-9]*"], &[], true),
            (&["shop/web:*", "*/api:v1"], &[], true),
            (&["shop/api"], &[], false),
            (&["shop/web:*"], &[], false),
            (&["shop/ap:*"], &[], false),
            (&["shop/api2:*"], &[], false),
            (&["shop/?:*"], &[], false),
            (&[], &["shop/api:*"], false),
            (&[], &["shop/*"], false),
            (&[], &["*"], false),
            (&[], &["shop/api:v*"], true),
            (&[], &["shop/api:\\*"], true),
            (&[], &["shop/web:*"], true),
            (&["shop/*"], &["*/api:*"], false),
        ] {
            let scope = scope(targets, excludes, false);
            assert_eq!(
                scope.may_contain(&key, &repository),
                expected,
                "{targets:?} {excludes:?}"
            );
        }
        let europe = scope(&["europe/*"], &[], true);
        assert!(europe.may_contain(&"europe".parse().unwrap(), &repository));
        assert!(!europe.may_contain(&"asia".parse().unwrap(), &repository));
    }

    fn glob() -> impl Strategy<Value = String> {
        let piece = prop::sample::select(vec![
            "a", "b", "/", ":", "*", "?", "{a,b:}", "[ab]", "[!a]", "**", "\\*",
        ]);
        prop::collection::vec(piece, 1..6).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn what_cannot_contain_a_tag_contains_none(
            targets in prop::collection::vec(glob(), 0..3),
            excludes in prop::collection::vec(glob(), 0..2),
            repository in "(aa|ab|ba)(/(aa|ab|ba))?",
            tag in "[ab]{1,2}",
        ) {
            let (key, repository) = (RegistryKey::default(), repository.parse().unwrap());
            let scope = Scope::new(&targets, &excludes, false).unwrap();
            if scope.contains(&key, &repository, &tag.parse().unwrap()) {
                prop_assert!(scope.may_contain(&key, &repository));
            }
        }
    }
}
