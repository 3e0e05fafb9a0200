//! `match`, `explain` and `init`: looking at a plan before it is one.

use insta::assert_snapshot;

use crate::support::{Folder, of_repository};

fn example(name: &str) -> String {
    of_repository(&format!("plans/{name}.yaml")).display().to_string()
}

#[test]
fn match_says_what_is_taken_and_why_the_rest_is_not() {
    let folder = Folder::seeded();
    let plan = example("floating-tags");
    let found = folder.run(&format!("match {plan} --sandbox")).succeeds();
    assert_snapshot!(found.out);
    let json = folder
        .run(&format!("match {plan} --sandbox --json"))
        .succeeds()
        .json();
    let first = &json["matches"][0];
    assert_eq!(first["sources"].as_array().unwrap().len(), 31);
    assert_eq!(first["left_out"][0]["tag"], "blue");
    assert_eq!(first["left_out"][0]["reasons"][0], "does not begin with `v`");
}

#[test]
fn match_lists_no_more_than_a_page_unless_asked_to() {
    let folder = Folder::seeded();
    let plan = example("commit-tags");
    let short = folder.run(&format!("match {plan} --sandbox")).succeeds().out;
    assert!(
        short.lines().count() < 40 && short.contains("--full lists all"),
        "{short}"
    );
    let full = folder
        .run(&format!("match {plan} --sandbox --full"))
        .succeeds()
        .out;
    assert_eq!(
        full.lines().filter(|line| line.contains(" -> ")).count(),
        21,
        "{full}"
    );
    assert!(full.contains("build-399-"), "{full}");
}

#[test]
fn match_needs_no_registry_if_there_is_a_file_of_tags() {
    let folder = Folder::new();
    folder.file(
        "plan.yaml",
        "version: 1\nrules: [{ name: new, repositories: 'shop/*', from: { semver: '*', pushed_after: 2024-01-01T00:00:00Z }, to: '${major}', pick: newest }]",
    );
    let tags = "1.0.0\tabc\t2023-01-01T00:00:00Z\n1.1.0\tdef\t2024-02-01T00:00:00Z\n1.2.0\t\t2024-03-01T00:00:00Z\n1.3.0\n# no tag\n";
    let found = folder.run_with("match plan.yaml --tags-file -", tags).succeeds();
    assert_snapshot!(found.out);
    let other = folder
        .run_with("match plan.yaml --tags-file - --repository web/x", tags)
        .ends_with(1);
    assert!(other.err.contains("no rule applies to `web/x`"), "{}", other.err);
    let broken = folder
        .run_with("match plan.yaml --tags-file -", "a\n-\u{7f}")
        .ends_with(1);
    assert!(broken.err.contains("line 2: "), "{}", broken.err);
}

#[test]
fn explain_tells_the_story_of_one_tag() {
    let folder = Folder::seeded();
    let plan = example("release-cutover");
    let explain = |address: &str| {
        folder
            .run(&format!("explain {plan} {address} --sandbox"))
            .succeeds()
            .out
    };
    assert_snapshot!(
        [
            "stable",
            "1.8.0",
            "previous",
            "1.8.0-rc.3",
            "1.7.3",
            "no-such-tag"
        ]
        .map(|tag| explain(&format!("shop/api:{tag}")))
        .join("----\n")
    );
    folder
        .run(&format!(
            "apply {plan} --sandbox --auto-approve --target shop/api:*"
        ))
        .succeeds();
    assert!(explain("shop/api:stable").contains("which is what the plan wants"));
    let json = folder
        .run(&format!("explain {plan} shop/web:stable --sandbox --json"))
        .succeeds()
        .json();
    assert_eq!(
        (&json["action"], &json["requires"][0]),
        (&"update".into(), &"previous".into())
    );
}

#[test]
fn a_scope_that_leaves_nothing_is_said() {
    let folder = Folder::seeded();
    let plan = example("release-cutover");
    let warning = "Warning: `--target` and `--exclude` leave no address of the plan [plan/nothing-in-scope]";
    for scope in [
        "--target shop/appi:*",
        "--target shop/api:stabel",
        "--target shop/api:* --exclude shop/*",
    ] {
        let said = folder.run(&format!("plan {plan} --sandbox {scope}")).succeeds();
        assert!(said.err.contains(warning), "{}", said.err);
    }
    let scope = "--target shop/api:stable";
    for command in [
        format!("plan {plan}"),
        format!("apply {plan} --auto-approve"),
        format!("plan {plan}"),
    ] {
        let said = folder.run(&format!("{command} --sandbox {scope}")).succeeds();
        assert!(!said.err.contains("in-scope"), "{}", said.err);
    }
}

#[test]
fn a_warning_is_not_why_a_tag_stays() {
    let folder = Folder::seeded();
    folder.file(
        "plan.yaml",
        "version: 1
rules:
  - { name: swap, repositories: web/checkout, from: green, to: blue }
  - { name: back, repositories: web/checkout, from: blue, to: green }
  - { name: latest, repositories: web/checkout, from: v3.2.7, to: latest, backup: { latest: previous } }
",
    );
    let said = folder
        .run("explain plan.yaml web/checkout:previous --sandbox")
        .succeeds();
    assert!(said.err.contains("[plan/reads-what-it-moves]"), "{}", said.err);
    assert!(
        said.out
            .starts_with("web/checkout:previous does not exist, and no rule makes it anything else."),
        "{}",
        said.out
    );
}

#[test]
fn explain_says_what_is_wrong_with_an_address() {
    let folder = Folder::seeded();
    let plan = example("release-cutover");
    for (address, code, message) in [
        ("shop/api", 64, "`shop/api` is no address"),
        (
            "web/checkout:blue",
            1,
            "no rule applies to the repository `web/checkout`",
        ),
        ("shop/nowhere:1", 1, "there is no repository `shop/nowhere`"),
    ] {
        let said = folder
            .run(&format!("explain {plan} {address} --sandbox"))
            .ends_with(code);
        assert!(said.err.contains(message), "{}", said.err);
    }
}

#[test]
fn what_init_prints_is_a_plan() {
    let folder = Folder::seeded();
    for arguments in ["shop/api web/new", "--sandbox", "--sandbox ci/gateway shop/new"] {
        let starter = folder.run(&format!("init {arguments}")).succeeds();
        assert_eq!(starter.err, "");
        let said = folder.run_with("validate -", &starter.out).succeeds();
        assert!(
            said.err.is_empty() && said.out.starts_with("Success!"),
            "{said:?}"
        );
    }
    let starter = folder.run("init --sandbox").out;
    let planned = folder
        .run_with("plan - --sandbox --detailed-exitcode", &starter)
        .ends_with(2);
    assert_eq!(planned.err, "");
    assert!(folder.run("init").ends_with(1).err.contains("name repositories"));
}
