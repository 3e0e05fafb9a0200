//! What is generated from the code and kept beside it; `UPDATE_EXPECT=1` writes it anew.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::{env, fs};

use ecr_retag::diagnostic::Code;
use ecr_retag::plan;
use serde_json::Value;

use crate::support::load;

/// What planning says when it sees the registry; every other code is about the plan file itself.
const OF_PLANNING: &[Code] = &[
    Code::InvalidTarget,
    Code::TemplateFailed,
    Code::TargetConflict,
    Code::AmbiguousSource,
    Code::RepositoryNotFound,
    Code::NoRepositoryMatches,
    Code::SourceNotFound,
    Code::NothingSelected,
    Code::NothingInScope,
    Code::TargetExists,
    Code::ImmutableTag,
    Code::TooManyTags,
    Code::LastTag,
    Code::RegistryTwice,
    Code::LeftUntagged,
    Code::ReadsWhatItMoves,
    Code::ProtectedTag,
    Code::ExpectationFailed,
    Code::AdvanceUnclear,
    Code::CircularBackup,
    Code::LimitPassed,
    Code::ArchivedSource,
    Code::LeftOut,
];

fn assert_current(path: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if env::var_os("UPDATE_EXPECT").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::File::create(&path)
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == text,
        "{} is stale; UPDATE_EXPECT=1 writes it anew",
        path.display()
    );
}

#[test]
fn the_schema_is_current() {
    let schema = serde_json::to_string_pretty(&plan::schema()).unwrap() + "\n";
    assert_current("schemas/plan.schema.json", &schema);
}

#[test]
fn the_list_of_diagnostics_is_current() {
    let mut page = String::from(
        "# Diagnostics\n\n\
         What `ecr-retag` may say about a plan file, by code. Those above the line are found in the file itself, by \
         `validate`; those below it when the registry has been read.\n\n| code | meaning |\n|---|---|\n",
    );
    let (of_planning, of_files): (Vec<Code>, Vec<Code>) =
        Code::ALL.iter().partition(|code| OF_PLANNING.contains(code));
    for code in of_files {
        let _ = writeln!(page, "| `{}` | {} |", code.as_str(), code.meaning());
    }
    page.push_str("\n---\n\n| code | meaning |\n|---|---|\n");
    for code in of_planning {
        let _ = writeln!(page, "| `{}` | {} |", code.as_str(), code.meaning());
    }
    assert_current("docs/diagnostics.md", &page);
}

/// Every `severity[CODE]: MESSAGE` under `tests/plans/bad`.
fn expected_messages() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plans/bad");
    let mut messages = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "expected") {
            for line in fs::read_to_string(path).unwrap().lines() {
                let code = line
                    .split_once("[plan/")
                    .and_then(|(_, rest)| rest.split_once("]: "));
                messages.extend(code.map(|(code, message)| (format!("plan/{code}"), message.to_owned())));
            }
        }
    }
    messages
}

#[test]
fn every_code_about_a_file_has_a_bad_plan() {
    let messages = expected_messages();
    let lacking: Vec<&str> = Code::ALL
        .iter()
        .filter(|code| !OF_PLANNING.contains(code))
        .map(|code| code.as_str())
        .filter(|code| messages.iter().all(|(seen, _)| seen != code))
        .collect();
    assert!(
        lacking.is_empty(),
        "without a plan under tests/plans/bad: {lacking:?}"
    );
    for code in OF_PLANNING {
        assert!(
            messages.iter().all(|(seen, _)| seen != code.as_str()),
            "{}",
            code.as_str()
        );
    }
}

#[test]
fn no_two_codes_share_a_message() {
    let mut codes: BTreeMap<String, String> = BTreeMap::new();
    for (code, message) in expected_messages() {
        // What stands in backticks is the user's, or varies with the key.
        let fixed: Vec<&str> = message.split('`').step_by(2).collect();
        let shape = fixed.join("`");
        let first = codes.entry(shape.clone()).or_insert_with(|| code.clone());
        assert_eq!(*first, code, "{shape}");
    }
}

#[test]
fn the_keys_that_are_read_are_the_keys_of_the_schema() {
    let schema = plan::schema();
    let of = |name: &str| match name {
        "Plan" => schema["properties"].as_object().unwrap(),
        _ => schema["$defs"][name]["properties"].as_object().unwrap(),
    };
    for (name, text) in [
        ("Plan", "version: 1\nzzzzzzzz: 1\n"),
        ("Registry", "version: 1\nregistries: { a: { zzzzzzzz: 1 } }\n"),
        ("Variable", "version: 1\nvars: { a: { zzzzzzzz: 1 } }\n"),
        ("Policy", "version: 1\npolicy: { zzzzzzzz: 1 }\n"),
        (
            "Rule",
            "version: 1\nrules: [{ name: a, repositories: ab, from: a, to: b, zzzzzzzz: 1 }]\n",
        ),
        (
            "Selector",
            "version: 1\nrules: [{ name: a, repositories: ab, from: { tag: a, zzzzzzzz: 1 }, to: b }]\n",
        ),
    ] {
        let loaded = load(&[text]);
        let unknown = loaded
            .diagnostics
            .iter()
            .find(|found| found.code == Code::UnknownKey)
            .unwrap();
        let help = unknown.help.as_deref().unwrap();
        let mut read: Vec<&str> = help.split('`').skip(1).step_by(2).collect();
        let mut known: Vec<&str> = of(name).keys().map(String::as_str).collect();
        read.sort_unstable();
        known.sort_unstable();
        assert_eq!(read, known, "{name}");
        for (key, property) in of(name) {
            assert!(
                property["description"].is_string(),
                "{name}.{key} has no description"
            );
        }
    }
}

#[test]
fn the_schema_takes_no_unknown_key_and_no_null() {
    fn walk(schema: &Value, path: &str) {
        if schema["type"] == "object" && schema.get("properties").is_some() {
            assert_eq!(schema["additionalProperties"], false, "{path}");
        }
        let nulls = [
            schema["type"] == "null",
            schema["type"]
                .as_array()
                .is_some_and(|types| types.contains(&"null".into())),
        ];
        assert_eq!(nulls, [false, false], "{path}");
        match schema {
            Value::Object(entries) => entries
                .iter()
                .for_each(|(key, value)| walk(value, &format!("{path}/{key}"))),
            Value::Array(items) => items
                .iter()
                .enumerate()
                .for_each(|(at, item)| walk(item, &format!("{path}/{at}"))),
            _ => {}
        }
    }
    let schema = plan::schema();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    walk(&schema, "#");
}
