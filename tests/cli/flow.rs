//! Plan on the pull request, review, apply after the merge: everything that may happen on the way.

use serde_json::Value;

use crate::documents::misfits;
use crate::exits::CUT;
use crate::support::Folder;

fn put_back(tag: &str) -> String {
    format!("version: 1\nrules: [{{ name: somebody else, repositories: shop/api, from: {tag}, to: stable }}]")
}

#[test]
fn a_saved_changeset_is_applied_exactly_or_not_at_all() {
    let folder = Folder::seeded();
    folder
        .file("cut.yaml", CUT)
        .file("other.yaml", &put_back("1.7.2"));
    folder.run("plan cut.yaml --sandbox --out cut.json").succeeds();
    folder.run("apply other.yaml --sandbox --auto-approve").succeeds();
    let stale = folder
        .run("apply cut.json --sandbox --on-error continue")
        .ends_with(4);
    assert!(
        stale.out.contains("Apply incomplete!") && stale.out.contains("1 stale"),
        "{}",
        stale.out
    );
    let now = folder
        .run("explain other.yaml shop/api:stable --sandbox")
        .succeeds();
    assert!(now.out.contains("which is what the plan wants"), "{}", now.out);
    folder
        .run("plan cut.yaml --sandbox --out cut.json --detailed-exitcode")
        .ends_with(2);
    folder.run("apply cut.json --sandbox").succeeds();
    let again = folder
        .run("plan cut.yaml --sandbox --detailed-exitcode")
        .succeeds();
    assert!(
        again
            .out
            .contains("No changes. Your infrastructure matches the configuration."),
        "{}",
        again.out
    );
    let done_already = folder.run("apply cut.json --sandbox").succeeds();
    assert!(done_already.out.contains("right already"), "{}", done_already.out);
}

#[test]
fn a_changeset_that_was_edited_is_found_out() {
    let folder = Folder::seeded();
    folder.file("cut.yaml", CUT);
    folder.run("plan cut.yaml --sandbox --out cut.json").succeeds();
    let saved: Value = serde_json::from_str(&folder.read("cut.json")).unwrap();
    let edit = |edit: &dyn Fn(&mut Value)| {
        let mut edited = saved.clone();
        edit(&mut edited);
        folder.file("edited.json", &edited.to_string());
        let refused = folder.run("apply edited.json --sandbox").ends_with(5);
        assert!(refused.err.contains("was edited"), "{}", refused.err);
        folder.run("show edited.json").ends_with(5);
    };
    let other = "sha256:0000000000000000000000000000000000000000000000000000000000000000";
    edit(&|saved| saved["resource_changes"][0]["change"]["after"]["digest"] = other.into());
    edit(&|saved| saved["registries"][0]["account"] = "210987654321".into());
    edit(&|saved| saved["registries"][0]["region"] = "eu-west-1".into());
    edit(&|saved| saved["limits"]["removes"] = 9.into());
    edit(&|saved| saved["plan_digest"] = other.into());
    edit(&|saved| {
        let mut added = saved["resource_changes"][0].clone();
        added["tag"] = "latest".into();
        added["address"] = "shop/api:latest".into();
        saved["resource_changes"].as_array_mut().unwrap().push(added);
    });
    folder
        .run("plan cut.yaml --sandbox --detailed-exitcode")
        .ends_with(2);
    for choice in ["--var a=b", "--var-file x", "--target *", "--exclude *"] {
        folder
            .run(&format!("apply cut.json --sandbox {choice}"))
            .ends_with(64);
    }
}

#[test]
fn the_reviewed_digest_is_enough_without_the_file() {
    let folder = Folder::seeded();
    folder
        .file("cut.yaml", CUT)
        .file("other.yaml", &put_back("1.7.2"));
    let reviewed = folder.run("plan cut.yaml --sandbox --json").succeeds().json();
    let digest = reviewed["plan_digest"].as_str().unwrap();
    folder.run("apply other.yaml --sandbox --auto-approve").succeeds();
    let apply = format!("apply cut.yaml --sandbox --auto-approve --expect-digest {digest}");
    let refused = folder.run(&apply).ends_with(5);
    assert!(refused.err.contains(digest), "{}", refused.err);
    folder.file("reviewed.json", &reviewed.to_string());
    let with_file = apply.replace(&format!("digest {digest}"), "changeset reviewed.json");
    let refused = folder.run(&with_file).ends_with(5);
    assert!(
        refused.err.contains("  shop/api:stable: reviewed moved sha256:"),
        "{}",
        refused.err
    );
    folder.file("back.yaml", &put_back("1.7.3"));
    folder.run("apply back.yaml --sandbox --auto-approve").succeeds();
    folder.run(&apply).succeeds();
    folder.run(&apply).succeeds();
}

#[test]
fn what_is_not_approved_is_left_out_and_said() {
    let folder = Folder::seeded();
    folder.file(
        "cut.yaml",
        "version: 1
rules:
  - { name: rename, repositories: shop/api, from: 1.8.0-rc.3, to: 1.8.0, remove_source: true }
  - { name: move, repositories: shop/api, from: 1.7.2, to: stable }
",
    );
    let creates = folder
        .run("apply cut.yaml --sandbox --auto-approve=create")
        .succeeds();
    assert!(
        creates.out.contains("Plan: 1 to add, 0 to change, 0 to destroy."),
        "{}",
        creates.out
    );
    assert!(
        creates.out.contains("2 skipped (not approved)"),
        "{}",
        creates.out
    );
    assert!(
        creates
            .out
            .contains("Apply complete! Tags: 1 added, 0 changed, 0 destroyed."),
        "{}",
        creates.out
    );
    let moves = folder
        .run("apply cut.yaml --sandbox --auto-approve=move")
        .succeeds();
    assert!(
        moves.out.contains("Plan: 0 to add, 1 to change, 0 to destroy."),
        "{}",
        moves.out
    );
    assert!(moves.out.contains("1 skipped (not approved)"), "{}", moves.out);
    let all = folder
        .run("apply cut.yaml --sandbox --auto-approve=all")
        .succeeds();
    assert!(
        all.out
            .contains("Apply complete! Tags: 0 added, 0 changed, 1 destroyed."),
        "{}",
        all.out
    );
    folder
        .run("plan cut.yaml --sandbox --detailed-exitcode")
        .succeeds();
}

#[test]
fn a_backup_is_left_out_with_its_move() {
    let folder = Folder::seeded();
    folder.file("cut.yaml", CUT);
    let creates = folder
        .run("apply cut.yaml --sandbox --auto-approve=create")
        .succeeds();
    assert!(
        creates.out.contains("Tags: 1 added, 0 changed, 0 destroyed."),
        "{}",
        creates.out
    );
    assert!(creates.out.contains("2 skipped"), "{}", creates.out);
}

#[test]
fn the_same_registry_gives_the_same_bytes_in_every_format() {
    let folder = Folder::seeded();
    folder.file("cut.yaml", CUT);
    for format in ["text", "markdown", "html", "json"] {
        let plan = || {
            let said = folder.run(&format!("plan cut.yaml --sandbox --full --format {format}"));
            let is_time = |line: &&str| {
                ["\"created_at\"", "Planned at"]
                    .iter()
                    .any(|head| line.contains(head))
            };
            let timeless: Vec<&str> = said.out.lines().filter(|line| !is_time(line)).collect();
            assert!(said.out.lines().count() - timeless.len() <= 1, "{}", said.out);
            timeless.join("\n")
        };
        let first = plan();
        assert!(first.contains("1.8.0"), "{first}");
        assert_eq!(first, plan(), "{format}");
    }
}

#[test]
fn show_says_again_what_was_skipped_and_warned_of() {
    let folder = Folder::seeded();
    folder.file(
        "plan.yaml",
        "version: 1
rules:
  - { name: swap, repositories: web/checkout, from: green, to: blue }
  - { name: back, repositories: web/checkout, from: blue, to: green }
  - { name: keep, repositories: shop/api, from: 1.8.0-rc.3, to: [stable, 1.8.0], on_existing: keep }
",
    );
    let planned = folder.run("plan plan.yaml --sandbox --out saved.json").succeeds();
    let shown = folder.run("show saved.json").succeeds();
    assert_eq!(shown.out, planned.out);
    assert_eq!(shown.err.matches("[plan/reads-what-it-moves]").count(), 2);
    assert!(shown.err.contains("plan.yaml:3:"), "{}", shown.err);
    assert!(
        folder
            .run("show saved.json --format markdown")
            .out
            .contains("reads-what-it-moves")
    );
    let again = folder.run("show saved.json --json").succeeds();
    assert_eq!(again.out, folder.read("saved.json"));
    assert_eq!(misfits("changeset", &again.json()), Vec::<String>::new());
    assert_eq!(again.json()["skipped_changes"][0]["address"], "shop/api:stable");
}
