//! Where credentials come from, and what happens when they run out in mid-run.

use ecr_retag::sandbox::{FaultPlan, Faults};

use crate::folder::{Folder, Run};
use crate::loopback::{EU, Loopback, US, plan, role_of};

const CUT: &str = "rules: [{ name: cut, repositories: shop/api, from: 1.8.0-rc.3, to: [1.8.0, stable] }]";

fn is_cut(loopback: &Loopback, account: &str, region: &str) -> bool {
    let tags = loopback.tags(account, region);
    let candidate = tags.get("1.8.0-rc.3");
    candidate.is_some() && tags.get("1.8.0") == candidate && tags.get("stable") == candidate
}

/// Keys of one account, the registry of another, which lets it in.
#[test]
fn another_account_is_reached_by_its_pin() {
    let loopback = Loopback::start();
    let grant = |state: &mut ecr_retag::sandbox::State| {
        state.grant(US.parse().unwrap(), EU.parse().unwrap());
    };
    loopback.sandbox.edit(grant).unwrap();
    let plan =
        format!("version: 1\nregistries: {{ us: {{ region: us-east-1, account: \"{US}\" }} }}\n{CUT}\n");
    let folder = loopback.folder_as(EU);
    folder.file("plan.yaml", &plan);
    folder.run("plan plan.yaml --out cut.json").succeeds();
    // Without its pin the file would be for the account of the keys.
    folder.run("apply cut.json --journal run.jsonl").succeeds();
    assert!(is_cut(&loopback, US, "us-east-1"));
    folder.run("rollback run.jsonl --auto-approve").succeeds();
    assert!(!loopback.tags(US, "us-east-1").contains_key("1.8.0"));
    let us = US.parse().unwrap();
    let calls = loopback.sandbox.calls();
    assert!(!calls.is_empty() && calls.iter().all(|call| call.registry.as_ref() == Some(&us)));
    folder.run("apply plan.yaml --auto-approve").succeeds();
}

/// As on GitHub and GitLab: a token of theirs, and no keys.
#[test]
fn a_token_of_somebody_else_is_enough() {
    let loopback = Loopback::start();
    let folder = Folder::new()
        .with("AWS_ENDPOINT_URL", &loopback.url())
        .with("AWS_WEB_IDENTITY_TOKEN_FILE", "token")
        .with("AWS_ROLE_ARN", &role_of(US))
        .with("AWS_ROLE_SESSION_NAME", "pipeline");
    folder.file("token", "t0ken");
    folder.file(
        "plan.yaml",
        &format!("version: 1\nregistries: {{ us: {{ region: us-east-1 }} }}\n{CUT}\n"),
    );
    let run = folder
        .run("apply plan.yaml --auto-approve --journal run.jsonl")
        .succeeds();
    assert!(is_cut(&loopback, US, "us-east-1"));
    assert!(!(run.out + &run.err + &folder.read("run.jsonl")).contains("t0ken"));
    assert_eq!(loopback.sandbox.tallies()["AssumeRoleWithWebIdentity"].calls, 1);
    // And from that role on to those of the plan.
    folder.file("plan.yaml", &self::plan());
    folder.run("apply plan.yaml --auto-approve").succeeds();
    assert!(is_cut(&loopback, EU, "eu-west-1"));
    assert_eq!(loopback.sandbox.tallies()["AssumeRoleWithWebIdentity"].calls, 2);
    let roles = loopback.sandbox.calls();
    let chained = roles.iter().find(|call| call.operation == "AssumeRole").unwrap();
    assert_eq!(chained.caller.as_ref().unwrap().account.as_str(), US);
}

fn expire_in_eu(loopback: &Loopback, nth: u32) {
    let rules = format!(
        "rules: [{{ match: {{ operation: PutImage, account: \"{EU}\", nth: {nth} }}, times: 1, action: \
         expire-credentials }}]"
    );
    loopback
        .sandbox
        .set_faults(Faults::new(FaultPlan::parse(&rules).unwrap()));
}

#[track_caller]
fn says_whose_credentials_expired(run: &Run) {
    let said = "Error: every call to `eu` fails alike: credentials expired in ";
    assert!(run.out.contains(said), "{}\n{}", run.out, run.err);
    assert!(run.out.contains("get new credentials"), "{}", run.out);
}

#[test]
fn credentials_that_expire_end_their_registry_and_no_other() {
    let loopback = Loopback::start();
    let folder = loopback.folder();
    folder.file("plan.yaml", &plan());
    expire_in_eu(&loopback, 1);
    let run = folder.run("apply plan.yaml --auto-approve").ends_with(3);
    says_whose_credentials_expired(&run);
    let us = format!("\n  us in {US}/us-east-1: 1 added, 1 changed, 0 destroyed\n");
    assert!(run.out.contains(&us), "{}", run.out);
    assert!(
        run.out
            .contains(&format!("\n  eu in {EU}/eu-west-1: 0 applied, ")),
        "{}",
        run.out
    );
    assert!(is_cut(&loopback, US, "us-east-1"));
    assert!(!is_cut(&loopback, EU, "eu-west-1"));
    folder.run("apply plan.yaml --auto-approve").succeeds();
    assert!(is_cut(&loopback, EU, "eu-west-1"));
}

#[test]
fn a_later_stage_waits_for_every_registry_of_the_one_before() {
    let loopback = Loopback::start();
    let folder = loopback.folder();
    let (head, _) = plan()
        .split_once("rules:")
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .unwrap();
    let rule = |registry: &str, stage: u32| {
        format!(
            "  - {{ name: {registry}, registries: {registry}, repositories: shop/api, from: 1.8.0-rc.3, to: [1.8.0, \
             stable], stage: {stage} }}\n"
        )
    };
    folder.file(
        "plan.yaml",
        &format!("{head}rules:\n{}{}", rule("eu", 0), rule("us", 1)),
    );
    expire_in_eu(&loopback, 2);
    let run = folder
        .run("apply plan.yaml --auto-approve --on-error continue")
        .ends_with(3);
    assert!(run.out.contains("2 not attempted"), "{}", run.out);
    assert!(!loopback.tags(US, "us-east-1").contains_key("1.8.0"));
    folder.run("apply plan.yaml --auto-approve").succeeds();
    let written: Vec<String> = loopback
        .sandbox
        .calls()
        .into_iter()
        .filter(|call| call.operation == "PutImage" && call.took_effect)
        .map(|call| call.registry.unwrap().to_string())
        .collect();
    assert_eq!(written, [EU, EU, US, US]);
}
