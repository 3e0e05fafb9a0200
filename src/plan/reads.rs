//! What must be read of a registry before a plan can be made, and no more.

use std::collections::BTreeSet;

use super::select::Pattern;
use super::target::{Name, Scope};
use super::{Expected, Mapping, OnExisting, Pick, Plan, Reads, Rule, Selector, Template};
use crate::model::{Digest, RegistryKey, RepositoryName, Tag};

/// Which repositories of a registry must be described.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RepositoryReads {
    /// Repositories that are named, by any rule.
    pub exact: BTreeSet<RepositoryName>,
    /// Whether a pattern is there, so that all repositories must be listed.
    pub has_globs: bool,
}

/// How much one rule needs to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Need {
    Named,
    Tags,
    PushTimes,
}

impl Plan {
    /// Which repositories of this registry must be described.
    pub fn repositories(&self, registry: &RegistryKey) -> RepositoryReads {
        let mut reads = RepositoryReads::default();
        for rule in self.rules.iter().filter(|rule| rule.applies_in(registry)) {
            let exact = rule.repositories.exact();
            reads.exact.extend(exact.map(|(name, _)| name.clone()));
            reads.has_globs |= rule.repositories.has_globs();
        }
        reads
    }

    /// Whether any rule applies to this repository.
    pub fn matches(&self, registry: &RegistryKey, repository: &RepositoryName) -> bool {
        self.rules
            .iter()
            .any(|rule| rule.applies_to(registry, repository))
    }

    /// What the rules need to know of this repository; `None` if no rule applies to it.
    ///
    /// Tags by name are enough where every source is written out, every target is known before any image is, and
    /// nothing is compared with what the registry holds.
    pub fn reads(&self, registry: &RegistryKey, repository: &RepositoryName) -> Option<Reads> {
        let rules = || {
            self.rules
                .iter()
                .filter(|rule| rule.applies_to(registry, repository))
        };
        match rules().map(Rule::need).max()? {
            Need::PushTimes => Some(Reads::Whole {
                with_push_times: true,
            }),
            Need::Tags => Some(Reads::Whole {
                with_push_times: false,
            }),
            Need::Named => {
                let mut tags = BTreeSet::new();
                let mut digests = BTreeSet::new();
                for rule in rules() {
                    rule.add_names(repository, &mut tags, &mut digests);
                }
                Some(Reads::Named { tags, digests })
            }
        }
    }
}

impl Rule {
    /// Whether the rule applies to this repository of this registry.
    pub fn applies_to(&self, registry: &RegistryKey, repository: &RepositoryName) -> bool {
        self.applies_in(registry) && self.repositories.matches(repository)
    }

    /// Whether the rule applies to any repository of this registry.
    pub fn applies_in(&self, registry: &RegistryKey) -> bool {
        self.registries.contains(registry)
    }

    fn need(&self) -> Need {
        let by_pick = match (self.pick, self.on_existing) {
            (Pick::Newest, _) => Need::PushTimes,
            (_, OnExisting::Advance) => Need::Tags,
            _ => Need::Named,
        };
        let Mapping::Select { from, to } = &self.mapping else {
            return by_pick;
        };
        let of_selectors = from.iter().map(Selector::need).max();
        let has_digests = from
            .iter()
            .all(|selector| matches!(selector.pattern, Pattern::Digest(_)));
        let of_targets = to.iter().map(|template| template.need(has_digests)).max();
        by_pick
            .max(of_selectors.unwrap_or(Need::Named))
            .max(of_targets.unwrap_or(Need::Named))
    }

    /// Sources, targets, backups and expected tags of a rule whose names are all known.
    fn add_names(
        &self,
        repository: &RepositoryName,
        tags: &mut BTreeSet<Tag>,
        digests: &mut BTreeSet<Digest>,
    ) {
        match &self.mapping {
            Mapping::Select { from, to } => {
                for selector in from {
                    let mut scope = Scope::of(repository);
                    match &selector.pattern {
                        Pattern::Tag(tag) => {
                            tags.insert(tag.clone());
                            scope.source = Some(tag);
                        }
                        Pattern::Digest(digest) => {
                            digests.insert(*digest);
                            scope.digest = Some(*digest);
                        }
                        Pattern::Glob(_) | Pattern::Regex(_) | Pattern::Semver(_) => continue,
                    }
                    tags.extend(to.iter().filter_map(|template| template.target(&scope).ok()));
                }
            }
            Mapping::Map(map) => {
                for (from, targets) in map.sources(repository) {
                    tags.insert(from.clone());
                    tags.extend(targets.into_iter().map(|(to, _)| to.clone()));
                }
            }
        }
        for backup in &self.backup {
            tags.extend([backup.target.clone(), backup.tag.clone()]);
        }
        for expect in &self.expect {
            tags.insert(expect.target.clone());
            match &expect.place {
                Expected::Tag(tag) => {
                    tags.insert(tag.clone());
                }
                Expected::Digest(_) | Expected::Absent => {}
            }
        }
    }
}

impl Selector {
    fn need(&self) -> Need {
        if self.needs_push_times() {
            Need::PushTimes
        } else if self.is_exact() {
            Need::Named
        } else {
            Need::Tags
        }
    }
}

impl Template {
    fn need(&self, has_digests: bool) -> Need {
        let of_name = |name: &Name| match name {
            Name::PushedAt => Need::PushTimes,
            Name::Digest | Name::ShortDigest if !has_digests => Need::Tags,
            _ => Need::Named,
        };
        self.names().map(of_name).max().unwrap_or(Need::Named)
    }
}

impl<'a> Scope<'a> {
    /// A scope in which nothing is known but the repository.
    fn of(repository: &'a RepositoryName) -> Self {
        Self {
            repository,
            source: None,
            digest: None,
            pushed_at: None,
            version: None,
            captures: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{digest, plan};
    use super::*;

    /// How much must be read for these rules on `shop/api`: the names, or what of all.
    fn reads(rules: &[&str]) -> String {
        let rules: Vec<String> = rules
            .iter()
            .enumerate()
            .map(|(number, keys)| format!("- {{ name: r{number}, repositories: shop/api, {keys} }}\n"))
            .collect();
        let plan = plan(&format!("version: 1\nrules:\n{}", rules.concat()));
        match plan
            .reads(&RegistryKey::default(), &"shop/api".parse().unwrap())
            .unwrap()
        {
            Reads::Whole { with_push_times } => if with_push_times { "push times" } else { "all" }.to_owned(),
            Reads::Named { tags, digests } => {
                let tags = tags.iter().map(ToString::to_string);
                let digests = digests.iter().map(Digest::short);
                tags.chain(digests).collect::<Vec<_>>().join(" ")
            }
        }
    }

    #[test]
    fn no_more_is_read_than_the_rules_ask_for() {
        let image = digest("a");
        let by_digest = format!("from: {{digest: '{image}'}}, to: 'sha-${{short_digest}}'");
        let named_digest = format!("sha-{0} {0}", image.short());
        for (rules, expected) in [
            (&["from: a, to: b"][..], "a b"),
            (
                &["from: [a, c], to: '${tag}-${repository_name}', backup: {a-api: old}, expect: {c-api: d}"],
                "a a-api c c-api d old",
            ),
            (
                &["map: {a: [b, c]}", "from: x, to: y, pick: highest"],
                "a b c x y",
            ),
            (&[&by_digest], &named_digest),
            (&["from: a, to: b", "from: 'v*', to: c"], "all"),
            (&["from: a, to: '${digest | replace(\":\", \"-\")}'"], "all"),
            (&["from: a, to: b, on_existing: advance"], "all"),
            (
                &["from: a, to: b", "from: {tag: a, pushed_after: 30d}, to: c"],
                "push times",
            ),
            (&["from: a, to: '${pushed_at | date(\"%Y\")}'"], "push times"),
            (&["map: {a: b}, pick: newest"], "push times"),
            (&["from: {regex: 'a(.*)'}, to: 'x${1}'"], "all"),
        ] {
            assert_eq!(reads(rules), expected, "{rules:?}");
        }
    }

    #[test]
    fn repositories_are_described_by_name_unless_there_is_a_pattern() {
        let plan = plan(
            "version: 1\nregistries: {eu: {region: eu-west-1}, us: {region: us-east-1}}\nrules:\n\
             - { name: a, registries: eu, repositories: [shop/api, shop/web, '!shop/web'], from: a, to: b }\n\
             - { name: b, registries: us, repositories: 'shop/*', from: a, to: b }\n",
        );
        let of = |key: &str| plan.repositories(&key.parse().unwrap());
        let exact = |key: &str| {
            of(key)
                .exact
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!((exact("eu").as_str(), of("eu").has_globs), ("shop/api", false));
        assert_eq!((exact("us").as_str(), of("us").has_globs), ("", true));
        let matches = |key: &str, name: &str| plan.matches(&key.parse().unwrap(), &name.parse().unwrap());
        assert!(matches("eu", "shop/api") && !matches("eu", "shop/web") && matches("us", "shop/web"));
        assert_eq!(
            plan.reads(&"eu".parse().unwrap(), &"shop/web".parse().unwrap()),
            None
        );
    }
}
