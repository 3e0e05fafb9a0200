//! A saved changeset and a journal know how their registries are reached.

use std::fmt::Write as _;

use ecr_retag::model::Digest;
use serde_json::{Value, json};

use crate::loopback::{EU, Loopback, US, key_of, plan, role_of};

#[test]
fn two_accounts_go_from_plan_to_file_to_apply_and_back() {
    let loopback = Loopback::start();
    let before = (loopback.tags(EU, "eu-west-1"), loopback.tags(US, "us-east-1"));
    let folder = loopback.folder();
    folder.file("plan.yaml", &plan());
    folder.run("plan plan.yaml --out cut.json").succeeds();
    let saved: Value = serde_json::from_str(&folder.read("cut.json")).unwrap();
    assert_eq!(
        saved["registries"],
        json!([
            {
                "name": "eu", "account": EU, "region": "eu-west-1",
                "access": {
                    "region": "eu-west-1", "account": EU, "assume_role": role_of(EU), "external_id": "ticket-42",
                    "session_name": "cut", "duration_s": 900,
                },
            },
            {
                "name": "us", "account": US, "region": "us-east-1",
                "access": { "region": "us-east-1", "assume_role": role_of(US) },
            },
        ])
    );
    // Only the file is there where it is applied.
    let elsewhere = loopback.folder();
    elsewhere.file("cut.json", &folder.read("cut.json"));
    let shown = elsewhere.run("show cut.json").succeeds();
    assert!(
        shown.out.contains("# eu/shop/api:1.8.0 will be created"),
        "{}",
        shown.out
    );
    let digest = saved["plan_digest"].as_str().unwrap();
    let other = format!("apply cut.json --expect-digest sha256:{}", "0".repeat(64));
    elsewhere.run(&other).ends_with(5);
    elsewhere
        .run(&format!(
            "apply cut.json --expect-digest {digest} --journal run.jsonl"
        ))
        .succeeds();
    for (account, region) in [(EU, "eu-west-1"), (US, "us-east-1")] {
        let tags = loopback.tags(account, region);
        assert_eq!(tags["1.8.0"], tags["1.8.0-rc.3"]);
        assert_eq!(tags["stable"], tags["1.8.0-rc.3"]);
    }
    let journal = elsewhere.read("run.jsonl");
    let third = loopback.folder();
    third.file("run.jsonl", &journal);
    third.run("rollback run.jsonl --auto-approve").succeeds();
    assert_eq!(
        (loopback.tags(EU, "eu-west-1"), loopback.tags(US, "us-east-1")),
        before
    );
    for text in [&journal, &third.read("run.jsonl"), &folder.read("cut.json")] {
        assert!(
            !text.contains("secret") && !text.contains("sandbox-session-token"),
            "{text}"
        );
        assert!(!text.contains("AKIA") && !text.contains("ASIA"), "{text}");
    }
}

/// What another program makes of the file, by the contract alone.
fn recomputed(saved: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let registry_of = |name: &Value| {
        let mut registries = saved["registries"].as_array().unwrap().iter();
        let registry = registries.find(|registry| registry["name"] == *name).unwrap();
        (text(&registry["account"]), text(&registry["region"]))
    };
    let mut lines: Vec<String> = Vec::new();
    for change in saved["resource_changes"].as_array().unwrap() {
        let (account, region) = registry_of(&change["registry"]);
        let repository = text(&change["repository"]);
        let requires = change["requires"].as_array().unwrap().iter().map(|address| {
            let (_, tag) = address.as_str().unwrap().rsplit_once(':').unwrap();
            format!("{account}/{region}/{repository}:{tag}")
        });
        let mut requires: Vec<String> = requires.collect();
        requires.sort();
        let fields = [
            account.clone(),
            region.clone(),
            repository.clone(),
            text(&change["tag"]),
            text(&change["change"]["before"]["digest"]),
            text(&change["change"]["after"]["digest"]),
            change["stage"].to_string(),
            if requires.is_empty() {
                "-".to_owned()
            } else {
                requires.join(",")
            },
        ];
        lines.push(fields.join("\t") + "\n");
    }
    lines.sort();
    let limits = ["creates", "moves", "removes"].map(|limit| match saved["limits"][limit].as_u64() {
        Some(limit) => limit.to_string(),
        None => "-".to_owned(),
    });
    lines.push(format!("limits\t{}\n", limits.join("\t")));
    Digest::of(lines.concat().as_bytes()).to_string()
}

#[test]
fn another_program_finds_the_same_digest() {
    let loopback = Loopback::start();
    let folder = loopback.folder();
    let more = "    backup: { stable: previous }\n    remove_source: true\n    stage: 2\npolicy: { max_removes: 9, \
                max_moves: 3 }\n";
    let rules = plan().replace(
        "  - { name: cut, repositories: shop/api, from: 1.8.0-rc.3, to: [1.8.0, stable] }\n",
        "",
    );
    let rule = "  - name: cut\n    repositories: shop/api\n    from: 1.8.0-rc.3\n    to: [1.8.0, stable]\n";
    folder.file("plan.yaml", &format!("{rules}{rule}{more}"));
    folder.run("plan plan.yaml --out cut.json").succeeds();
    let saved: Value = serde_json::from_str(&folder.read("cut.json")).unwrap();
    assert_eq!(saved["summary"]["destroy"], 2);
    assert!(
        saved.to_string().contains("\"requires\":[\"eu/shop/api:"),
        "{saved}"
    );
    assert_eq!(recomputed(&saved), saved["plan_digest"].as_str().unwrap());
}

#[test]
fn an_edited_way_leads_to_no_other_registry() {
    let loopback = Loopback::start();
    let folder = loopback.folder();
    folder.file("plan.yaml", &plan());
    folder.run("plan plan.yaml --out cut.json").succeeds();
    let saved: Value = serde_json::from_str(&folder.read("cut.json")).unwrap();
    let elsewhere = json!("arn:aws:iam::333333333333:role/retag");
    for (access, code, said) in [
        (
            json!({ "assume_role": elsewhere, "region": "eu-west-1" }),
            5,
            "333333333333",
        ),
        (
            json!({ "assume_role": elsewhere, "account": "111111111111", "region": "eu-west-1" }),
            1,
            "333333333333",
        ),
        (
            json!({ "endpoint": "http://127.0.0.1:9", "region": "eu-west-1" }),
            1,
            "Calling `eu` at http://127.0.0.1:9\n",
        ),
    ] {
        let mut edited = saved.clone();
        edited["registries"][0]["access"] = access;
        folder.file("edited.json", &edited.to_string());
        let refused = folder.run("apply edited.json").ends_with(code);
        assert!(refused.err.contains(said), "{}", refused.err);
    }
    assert_eq!(loopback.writes(), 0);
    assert!(!folder.files().iter().any(|file| file.contains("journals")));
}

#[test]
fn another_account_or_region_than_the_one_planned_is_refused() {
    let loopback = Loopback::start();
    let plan = "version: 1\nrules: [{ name: cut, repositories: shop/api, from: 1.8.0-rc.3, to: 1.8.0 }]\n";
    let folder = loopback.folder_as(US).with("AWS_REGION", "us-east-1");
    folder.file("plan.yaml", plan);
    folder.run("plan plan.yaml --out cut.json").succeeds();
    for (account, region, said) in [
        (EU, "eu-west-1", "for the region us-east-1, not eu-west-1"),
        (EU, "us-east-1", "for the account 222222222222, not 111111111111"),
    ] {
        // The same repository under other credentials.
        if region == "us-east-1" {
            loopback.seed(EU, region);
        }
        let other = loopback.folder_as(account).with("AWS_REGION", region);
        other.file("cut.json", &folder.read("cut.json"));
        let refused = other.run("apply cut.json").ends_with(5);
        assert!(refused.err.contains(said), "{}", refused.err);
        assert_eq!(refused.err.matches("Error: ").count(), 1, "{}", refused.err);
    }
    assert_eq!(loopback.writes(), 0);
    // Without a region of its own the changeset's is taken.
    let bare = loopback.folder_as(US);
    bare.file("cut.json", &folder.read("cut.json"));
    bare.run("apply cut.json").succeeds();
}

/// The account answers for another repository of the changeset only.
#[test]
fn the_account_is_known_before_anything_is_written() {
    let mut seed = "repositories:\n".to_owned();
    for (account, names) in [(US, "[svc-a, svc-b]"), (EU, "[svc-b]")] {
        write!(
            seed,
            "- names: {names}\n  account: \"{account}\"\n  region: us-east-1\n  images: [{{ name: rc, tags: [rc] }}]\n"
        )
        .unwrap();
    }
    let loopback = Loopback::serving(&seed);
    let folder = loopback.folder_as(US).with("AWS_REGION", "us-east-1");
    folder.file(
        "plan.yaml",
        "version: 1\nrules: [{ name: cut, repositories: [svc-a, svc-b], from: rc, to: ga }]\n",
    );
    folder.run("plan plan.yaml --out cut.json").succeeds();
    let other = loopback.folder_as(EU).with("AWS_REGION", "us-east-1");
    other.file("cut.json", &folder.read("cut.json"));
    let refused = other.run("apply cut.json").ends_with(5);
    assert!(
        refused.err.contains("for the account 222222222222"),
        "{}",
        refused.err
    );
    assert_eq!(loopback.writes(), 0);
}

#[test]
fn a_registry_without_repositories_of_the_plan_counts_for_addresses() {
    let loopback = Loopback::start();
    let folder = loopback.folder().with("AWS_CONFIG_FILE", "config");
    let profile = |account: &str| {
        format!(
            "[profile p{account}]\naws_access_key_id = {}\naws_secret_access_key = secret\n",
            key_of(account)
        )
    };
    folder.file("config", &(profile(EU) + &profile(US)));
    folder.file(
        "plan.yaml",
        &format!(
            "version: 1
registries:
  eu: {{ region: eu-west-1, profile: p{EU} }}
  empty: {{ region: sa-east-1, profile: p{US} }}
rules:
  - {{ name: cut, repositories: \"shop/*\", from: 1.8.0-rc.3, to: 1.8.0 }}
"
        ),
    );
    let planned = folder
        .run("plan plan.yaml --out cut.json --target eu/shop/*")
        .succeeds();
    assert!(
        planned.out.contains("# eu/shop/api:1.8.0 will be created"),
        "{}",
        planned.out
    );
    assert!(
        planned.out.contains("actions in 111111111111/eu-west-1:"),
        "{}",
        planned.out
    );
    let saved: Value = serde_json::from_str(&folder.read("cut.json")).unwrap();
    assert_eq!(saved["registries"][0]["name"], "empty");
    assert_eq!(saved["registries"][0]["account"], Value::Null);
    assert_eq!(saved["resource_changes"][0]["address"], "eu/shop/api:1.8.0");
    let applied = folder.run("apply cut.json --journal run.jsonl -v").succeeds();
    assert!(
        applied.out.contains("Apply complete! Tags: 1 added"),
        "{}",
        applied.out
    );
    assert!(
        folder
            .read("run.jsonl")
            .contains("\"address\":\"eu/shop/api:1.8.0\"")
    );
    folder.run("rollback run.jsonl --auto-approve").succeeds();
    assert!(!loopback.tags(EU, "eu-west-1").contains_key("1.8.0"));
}
