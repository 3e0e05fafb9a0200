//! Changesets and texts that the tests of this room share.

use crate::changeset::{
    Action, Change, Changeset, Origin, Reason, RegistryIdentity, SkipReason, Skipped, Unchanged,
};
use crate::diagnostic::{Code, Diagnostic, Sources, Span};
use crate::model::{Address, Digest, RegistryKey, Tag};
use crate::plan::Access;

/// What a hostile name may hold.
pub(super) const HOSTILE: &str =
    "\u{1b}[31mred\u{1b}]0;title\u{7}\u{9b}2J\nError: \u{202e}gpj\u{200b}`|<script>|%0A::error::x";

pub(super) fn digest(text: &str) -> Digest {
    Digest::of(text.as_bytes())
}

pub(super) fn address(text: &str) -> Address {
    let (name, tag) = text.rsplit_once(':').unwrap();
    let (registry, repository) = name.split_once('@').unwrap_or(("default", name));
    Address {
        registry: registry.parse().unwrap(),
        repository: repository.parse().unwrap(),
        tag: tag.parse().unwrap(),
    }
}

fn tag(text: &str) -> Tag {
    text.parse().unwrap()
}

fn change(at: &str, action: Action, source: &str, reason: Reason) -> Change {
    Change {
        address: address(at),
        action,
        stage: 0,
        wave: 0,
        rules: vec!["promote the candidate".to_owned()],
        source: Some(tag(source)),
        requires: Vec::new(),
        backup_of: Vec::new(),
        reason,
        is_reversible: true,
    }
}

fn from(source: &str) -> Reason {
    Reason::From {
        source: Origin::Tag(tag(source)),
        picked: None,
    }
}

pub(super) fn create(at: &str, after: &str, source: &str) -> Change {
    change(at, Action::Create { after: digest(after) }, source, from(source))
}

pub(super) fn moved(at: &str, before: &str, after: &str, source: &str) -> Change {
    change(
        at,
        Action::Move {
            before: digest(before),
            after: digest(after),
        },
        source,
        from(source),
    )
}

pub(super) fn removed(at: &str, before: &str, target: &str) -> Change {
    let action = Action::Remove {
        before: digest(before),
    };
    change(at, action, target, Reason::RenamedTo(vec![tag(target)]))
}

pub(super) fn registry(key: &str, region: &str) -> RegistryIdentity {
    RegistryIdentity {
        key: key.parse::<RegistryKey>().unwrap(),
        account: Some("123456789012".parse().unwrap()),
        region: Some(region.parse().unwrap()),
        access: Access::default(),
    }
}

pub(super) fn changeset(mut changes: Vec<Change>) -> Changeset {
    changes.sort_by(|a, b| a.address.cmp(&b.address));
    Changeset {
        registries: vec![registry("default", "eu-west-1")],
        changes,
        ..Changeset::default()
    }
}

/// The example of the specification.
pub(super) fn cutover() -> Changeset {
    Changeset {
        unchanged_count: 41,
        skipped: vec![
            skipped("shop/api:prod", SkipReason::Protected),
            skipped("shop/web:prod", SkipReason::Protected),
        ],
        ..changeset(vec![
            create("shop/api:1.8.0", "rc", "1.8.0-rc.3"),
            moved("shop/api:stable", "old", "rc", "1.8.0-rc.3"),
            removed("shop/api:1.8.0-rc.3", "rc", "1.8.0"),
        ])
    }
}

pub(super) fn skipped(at: &str, why: SkipReason) -> Skipped {
    Skipped {
        address: address(at),
        rules: vec!["promote the candidate".to_owned()],
        why,
    }
}

pub(super) fn unchanged(at: &str, on: &str) -> Unchanged {
    Unchanged {
        address: address(at),
        digest: Some(digest(on)),
        rules: vec!["promote the candidate".to_owned()],
    }
}

/// Two registries, one of which has a tag of its own.
pub(super) fn two_regions() -> Changeset {
    let mut changeset = changeset(vec![
        create("eu@shop/api:1.8.0", "rc", "1.8.0-rc.3"),
        moved("eu@shop/api:stable", "old", "rc", "1.8.0-rc.3"),
        create("us@shop/api:1.8.0", "rc", "1.8.0-rc.3"),
    ]);
    changeset.registries = vec![registry("eu", "eu-west-1"), registry("us", "us-east-1")];
    changeset
}

/// In each repository `stable` moves, a version of its own is new, and the rest of 20 tags is renamed.
pub(super) fn large(repositories: usize) -> Changeset {
    let mut changes = Vec::new();
    for index in 0..repositories {
        let name = format!("team-{:02}/service-{index:03}", index % 25);
        let version = format!("{}.{}.0", index / 10, index % 10);
        changes.push(moved(
            &format!("{name}:stable"),
            &format!("old{index}"),
            &format!("new{index}"),
            "candidate",
        ));
        changes.push(create(
            &format!("{name}:{version}"),
            &format!("new{index}"),
            &format!("{version}-rc.1"),
        ));
        for build in 0..9 {
            let (old, new) = (
                format!("build-{build}-g{index:07x}"),
                format!("sha-{build}{index:07x}"),
            );
            changes.push(create(
                &format!("{name}:{new}"),
                &format!("b{build}{index}"),
                &old,
            ));
            changes.push(removed(
                &format!("{name}:{old}"),
                &format!("b{build}{index}"),
                &new,
            ));
        }
    }
    changeset(changes)
}

/// A plan file with a mistake, and what is said about it.
pub(super) fn mistakes() -> (Sources, Vec<Diagnostic>) {
    let text = "version: 1\nrules:\n  - name: promote\n    repositories: shop/*\n    form: rc\n    to: stable\n  - name: promote\n    repositories: \"*\"\n    from: rc\n    to: [stable]\n";
    let mut sources = Sources::default();
    let source = sources.add("plans/cut.yaml", text);
    let span = |what: &str, nth: usize| {
        let start = text.match_indices(what).nth(nth).unwrap().0;
        Span {
            source,
            start: u32::try_from(start).unwrap(),
            end: u32::try_from(start + what.len()).unwrap(),
        }
    };
    let diagnostics = vec![
        Diagnostic::error(Code::UnknownKey, "unknown key `form`")
            .at(span("form", 0), "rules do not have this key")
            .help("did you mean `from`?"),
        Diagnostic::error(Code::DuplicateRule, "two rules are named `promote`")
            .at(span("promote", 1), "the second one")
            .at(span("promote", 0), "the first one"),
        Diagnostic::warning(Code::UnusedVariable, "the variable `version` is not used"),
    ];
    (sources, diagnostics)
}
