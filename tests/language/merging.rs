//! Several files are one plan, and the order of keys means nothing.

use std::collections::BTreeMap;
use std::io;

use ecr_retag::diagnostic::Code;
use ecr_retag::plan::{self, OnProtected, Plan, PlanInput, VariableInputs};
use proptest::prelude::*;

use crate::support::{load, plan};

const RULE: &str = "rules: [{ name: a, repositories: ab, from: a, to: b }]\n";

fn version_1(text: &str) -> String {
    format!("version: 1\n{text}")
}

#[test]
fn policies_are_united_the_strictest_way() {
    let plan = plan(&[
        &version_1("policy: { protect: [prod], on_protected: skip, max_moves: 5, max_creates: 7 }\n"),
        &version_1("policy: { protect: 'lts-*', on_protected: skip, max_moves: 3 }\n"),
        &version_1(RULE),
    ]);
    let protected: Vec<&str> = plan
        .policy
        .protect
        .iter()
        .map(|glob| glob.text.as_str())
        .collect();
    assert_eq!(protected, ["prod", "lts-*"]);
    assert_eq!(plan.policy.on_protected, OnProtected::Skip);
    let limits = plan.policy.limits;
    assert_eq!(
        (limits.creates, limits.moves, limits.removes),
        (Some(7), Some(3), None)
    );
    let sources: BTreeMap<&str, u32> = plan
        .policy
        .limit_spans
        .iter()
        .map(|(key, span)| (*key, span.source))
        .collect();
    assert_eq!(sources, BTreeMap::from([("max_creates", 0), ("max_moves", 1)]));
}

#[test]
fn fail_wins_over_skip_and_is_what_protect_means_by_itself() {
    for (first, second, expected) in [
        (
            "{ protect: a, on_protected: skip }",
            "{ protect: b, on_protected: fail }",
            OnProtected::Fail,
        ),
        (
            "{ protect: a, on_protected: skip }",
            "{ protect: b }",
            OnProtected::Fail,
        ),
        (
            "{ protect: a, on_protected: skip }",
            "{ max_moves: 1 }",
            OnProtected::Skip,
        ),
        ("{ protect: a }", "{ max_moves: 1 }", OnProtected::Fail),
    ] {
        let (first, second) = (format!("policy: {first}\n{RULE}"), format!("policy: {second}\n"));
        let plan = plan(&[&version_1(&first), &version_1(&second)]);
        assert_eq!(plan.policy.on_protected, expected, "{first} {second}");
    }
}

#[test]
fn a_variable_takes_the_value_that_stands_nearest_to_the_user() {
    let text = version_1(
        "vars: { a: file, b: file, c: file, d: file }\n\
         rules: [{ name: a, repositories: ab, from: '${a}', to: '${b}-${c}-${d}' }]\n",
    );
    let variables = VariableInputs {
        flags: vec![("a".into(), "first".into()), ("a".into(), "flag".into())],
        files: vec![
            ("1.env".into(), "a=1\nb=1\n".into()),
            ("2.yaml".into(), "b: 2.10\n".into()),
        ],
        environment: ["a", "b", "c", "undeclared"]
            .map(|name| (format!("ECR_RETAG_VAR_{name}"), "environment".into()))
            .into(),
    };
    let input = PlanInput {
        path: "plan.yaml".into(),
        text,
    };
    let loaded = plan::load(vec![input], &variables, &|_| Err(io::ErrorKind::NotFound.into()));
    assert_eq!(loaded.diagnostics, []);
    let values: Vec<String> = loaded.plan.unwrap().variables.into_values().collect();
    assert_eq!(values, ["flag", "2.10", "environment", "file"]);
}

#[test]
fn a_file_that_cannot_be_read_makes_no_other_file_wrong() {
    let loaded = load(&[&version_1("vars: { v: 1 }\n"), "version: 1\nrules: ["]);
    let codes: Vec<Code> = loaded.diagnostics.iter().map(|found| found.code).collect();
    assert_eq!(codes, [Code::InvalidYaml]);
}

#[test]
fn mapping_files_are_relative_to_their_plan_and_count_as_sources() {
    let input = |path: &str, name: &str| PlanInput {
        path: path.into(),
        text: format!("version: 1\nrules: [{{ name: {name}, repositories: ab, map_file: maps/m.csv }}]\n"),
    };
    let read = |path: &std::path::Path| match path.to_str() {
        Some("plans/maps/m.csv") => Ok("from,to\na,b\n".to_owned()),
        Some("maps/m.csv") => Ok("c,d\n".to_owned()),
        _ => Err(io::ErrorKind::NotFound.into()),
    };
    let inputs = vec![input("plans/a.yaml", "a"), input("-", "b")];
    let loaded = plan::load(inputs, &VariableInputs::default(), &read);
    let plan = loaded.plan.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics));
    let paths: Vec<&str> = plan.sources.iter().map(|source| source.path.as_str()).collect();
    assert_eq!(paths, ["plans/a.yaml", "-", "maps/m.csv", "plans/maps/m.csv"]);
}

/// A plan without its places, which follow the order of the text.
fn without_places(plan: &Plan) -> String {
    let text = format!("{plan:#?}");
    let is_place = |line: &str| {
        let line = line.trim();
        ["source:", "start:", "end:", "digest:"]
            .iter()
            .any(|key| line.starts_with(key))
    };
    text.lines()
        .filter(|line| !is_place(line))
        .collect::<Vec<_>>()
        .join("\n")
}

proptest! {
    #[test]
    fn the_order_of_keys_means_nothing(
        top in Just(vec![
            "version: 1".to_owned(),
            "name: x".to_owned(),
            "vars: { v: 1.10 }".to_owned(),
            "policy: { protect: [a, b], max_moves: 3 }".to_owned(),
            "registries: { eu: { region: eu-west-1 }, us: { region: us-east-1, profile: p } }".to_owned(),
        ]).prop_shuffle(),
        rule in Just(vec![
            "name: a", "repositories: [ab, 'c*']", "from: { semver: '*', prefix: v, exclude: x }", "to: ['${major}', '${v}']",
            "pick: highest", "on_existing: advance", "backup: { '1.10': old }", "stage: 2", "registries: [us, eu]",
        ]).prop_shuffle(),
        at in 0_usize..6,
    ) {
        let reference = "version: 1\nname: x\nvars: { v: 1.10 }\npolicy: { protect: [a, b], max_moves: 3 }\n\
            registries: { us: { profile: p, region: us-east-1 }, eu: { region: eu-west-1 } }\n\
            rules: [{ name: a, repositories: [ab, 'c*'], from: { exclude: x, prefix: v, semver: '*' }, \
            to: ['${major}', '${v}'], pick: highest, on_existing: advance, backup: { '1.10': old }, stage: 2, registries: [eu, us] }]\n";
        let mut lines = top;
        lines.insert(at.min(lines.len()), format!("rules: [{{ {} }}]", rule.join(", ")));
        let text = lines.join("\n");
        prop_assert_eq!(without_places(&plan(&[&text])), without_places(&plan(&[reference])));
    }
}
