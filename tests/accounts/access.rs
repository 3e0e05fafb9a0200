//! `plan --check-access`, and the policies that the README gives.

use std::collections::BTreeSet;

use ecr_retag::registry::Operation;
use ecr_retag::sandbox::{FaultPlan, Faults};
use serde_json::{Value, json};

use crate::folder::of_repository;
use crate::loopback::{EU, Loopback, US, plan};

fn deny(loopback: &Loopback, rules: &[&str]) {
    let rules: Vec<String> = rules
        .iter()
        .map(|on| format!("{{ match: {{ {on} }}, action: deny }}"))
        .collect();
    let plan = FaultPlan::parse(&format!("rules: [{}]", rules.join(", "))).unwrap();
    loopback.sandbox.set_faults(Faults::new(plan));
}

#[test]
fn what_reads_can_tell_is_told() {
    let loopback = Loopback::start();
    let folder = loopback.folder();
    folder.file("plan.yaml", &plan());
    let run = folder.run("plan plan.yaml --check-access").succeeds();
    assert_eq!(
        run.out,
        "\
Access to registry `eu`, 111111111111/eu-west-1:

  allowed  ecr:DescribeRepositories   plan, apply
  allowed  ecr:DescribeImages         plan, apply
  allowed  ecr:BatchGetImage          plan, apply
  unknown  ecr:PutImage               apply        cannot be told without writing

Access to registry `us`, 222222222222/us-east-1:

  allowed  ecr:DescribeRepositories   plan, apply
  allowed  ecr:DescribeImages         plan, apply
  allowed  ecr:BatchGetImage          plan, apply
  unknown  ecr:PutImage               apply        cannot be told without writing

Nothing is missing, as far as reads can tell.
"
    );
    assert_eq!(run.err, "");
    let tallies = loopback.sandbox.tallies();
    assert!(!tallies.contains_key("PutImage") && !tallies.contains_key("BatchDeleteImage"));
    assert_eq!(loopback.writes(), 0);
    assert_eq!(folder.files(), ["plan.yaml"]);
}

#[test]
fn what_is_denied_is_named_by_action_and_repository() {
    let loopback = Loopback::start();
    let account = format!("account: \"{US}\"");
    deny(
        &loopback,
        &[
            &format!("operation: DescribeImages, {account}"),
            &format!("operation: ListImages, {account}, repository: shop/*"),
        ],
    );
    let folder = loopback.folder();
    let plan = plan().replace(
        "from: 1.8.0-rc.3, to: [1.8.0, stable]",
        "from: { glob: \"*-rc.*\" }, to: next, remove_source: true",
    );
    folder.file("plan.yaml", &plan);
    let run = folder.run("plan plan.yaml --check-access").ends_with(1);
    let (eu, us) = run.out.split_once("Access to registry `us`").unwrap();
    assert!(eu.contains("allowed  ecr:ListImages             plan\n"), "{eu}");
    assert!(
        eu.contains("unknown  ecr:BatchDeleteImage       apply        cannot be told without writing\n"),
        "{eu}"
    );
    for action in ["ListImages", "DescribeImages"] {
        assert!(us.contains(&format!("missing  ecr:{action}")), "{us}");
        let said =
            format!("is not authorized to perform: ecr:{action} on resource: arn:aws:ecr:us-east-1:{US}:");
        assert!(us.contains(&said), "{us}");
    }
    assert!(
        us.contains(" on shop/api\n") && us.ends_with("2 actions are missing.\n"),
        "{us}"
    );
    let told = folder
        .run("plan plan.yaml --check-access --json")
        .ends_with(1)
        .json();
    assert_eq!(told["is_missing_any"], true);
    let missing = |registry: &Value| -> Vec<Value> {
        let actions = registry["actions"].as_array().unwrap().iter();
        actions
            .filter(|action| action["status"] == "missing")
            .cloned()
            .collect()
    };
    assert_eq!(missing(&told["registries"][0]), Vec::<Value>::new());
    let missing = missing(&told["registries"][1]);
    assert_eq!(missing[0]["action"], "ecr:ListImages");
    assert_eq!(missing[0]["needed_for"], json!(["plan"]));
    assert_eq!(missing[1]["repositories"], json!(["shop/api"]));
    assert_eq!(loopback.writes(), 0);
}

#[test]
fn a_pattern_needs_the_list_of_all_repositories() {
    let loopback = Loopback::start();
    deny(&loopback, &["operation: DescribeRepositories"]);
    let folder = loopback.folder_as(EU).with("AWS_REGION", "eu-west-1");
    let rule = |repositories: &str| {
        format!("version: 1\nrules: [{{ name: cut, repositories: {repositories}, from: a, to: b }}]\n")
    };
    folder.file("plan.yaml", &rule("\"shop/*\""));
    let run = folder.run("plan plan.yaml --check-access").ends_with(1);
    assert!(
        run.out.contains(
            "missing  ecr:DescribeRepositories   plan, apply  on * (a pattern lists all repositories)\n"
        ),
        "{}",
        run.out
    );
    assert!(
        run.out.contains(
            "unknown  ecr:BatchGetImage          plan, apply  there is no repository to try it on\n"
        )
    );
    loopback.sandbox.set_faults(Faults::none());
    folder.file("plan.yaml", &rule("[shop/api, shop/none]"));
    let run = folder.run("plan plan.yaml --check-access").succeeds();
    assert!(
        run.out.contains("There is no repository `shop/none`"),
        "{}",
        run.out
    );
}

#[test]
fn what_is_no_question_of_permission_is_an_error() {
    let loopback = Loopback::start();
    let folder = loopback.folder();
    folder.file("plan.yaml", &plan().replace("ticket-42", "other"));
    let run = folder.run("plan plan.yaml --check-access").ends_with(1);
    assert_eq!(
        run.err
            .matches("Error: registry `eu`: no credentials could be had")
            .count(),
        1,
        "{}",
        run.err
    );
    assert!(
        run.out
            .contains("Access to registry `us`, 222222222222/us-east-1"),
        "{}",
        run.out
    );
    for conflict in [
        "--out f",
        "--detailed-exitcode",
        "--format markdown",
        "--target x",
    ] {
        folder
            .run(&format!("plan plan.yaml --check-access {conflict}"))
            .ends_with(64);
    }
}

/// Every block of JSON in the README that is a policy, with the heading or sentence before it.
fn policies() -> Vec<Value> {
    let readme = std::fs::read_to_string(of_repository("README.md")).unwrap();
    let blocks = readme.split("```json\n").skip(1);
    let policies = blocks.map(|block| serde_json::from_str(block.split_once("```").unwrap().0).unwrap());
    policies
        .filter(|json: &Value| json.get("Statement").is_some())
        .collect()
}

fn actions(policy: &Value) -> BTreeSet<String> {
    let statements = policy["Statement"].as_array().unwrap().iter();
    let actions = statements.flat_map(|statement| statement["Action"].as_array().unwrap());
    actions
        .map(|action| action.as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn the_policies_name_exactly_the_actions_that_are_called() {
    let policies = policies();
    let [for_plan, for_apply] = policies.as_slice() else {
        panic!("{policies:#?}");
    };
    let called = |is_wanted: &dyn Fn(&Operation) -> bool| -> BTreeSet<String> {
        let operations = Operation::ALL.into_iter().filter(is_wanted);
        operations.map(Operation::iam_action).collect()
    };
    assert_eq!(actions(for_plan), called(&|operation| !operation.is_write()));
    assert_eq!(actions(for_apply), called(&|_| true));
    for policy in [for_plan, for_apply] {
        assert_eq!(policy["Version"], "2012-10-17");
        for statement in policy["Statement"].as_array().unwrap() {
            assert_eq!(statement["Effect"], "Allow");
            let resource = statement["Resource"].as_str().unwrap();
            // Only the list of repositories cannot be narrowed.
            let lists = statement["Action"] == json!(["ecr:DescribeRepositories"]);
            assert!(
                resource.starts_with("arn:aws:ecr:eu-west-1:123456789012:repository/")
                    && resource.ends_with('*')
            );
            assert_eq!(resource.ends_with(":repository/*"), lists, "{statement}");
        }
    }
}
