//! What other programs read: events, JSON of mistakes, GitHub's files, GitLab's report.

use std::fs;

use serde_json::Value;

use crate::documents::misfits;
use crate::exits::CUT;
use crate::support::Folder;

fn types(lines: &[Value]) -> Vec<&str> {
    lines.iter().map(|line| line["type"].as_str().unwrap()).collect()
}

#[test]
fn apply_tells_what_happens_line_by_line() {
    let folder = Folder::seeded();
    folder.file("cut.yaml", CUT);
    let run = folder
        .run("apply cut.yaml --sandbox --auto-approve --json --json-into events.jsonl --journal j.jsonl")
        .succeeds();
    let lines = run.json_lines();
    let types = types(&lines);
    assert_eq!(
        types[..5],
        [
            "version",
            "planned_change",
            "planned_change",
            "planned_change",
            "change_summary"
        ]
    );
    assert_eq!(types.iter().filter(|kind| **kind == "apply_start").count(), 3);
    assert_eq!(types.iter().filter(|kind| **kind == "apply_complete").count(), 3);
    assert_eq!(types.last(), Some(&"recap"));
    assert_eq!(lines.last().unwrap()["recap"]["applied"]["add"], 2);
    for line in &lines {
        assert_eq!(misfits("event", line), Vec::<String>::new(), "{line}");
    }
    assert_eq!(folder.read("events.jsonl"), run.out);
    for line in folder.read("j.jsonl").lines() {
        assert_eq!(
            misfits("journal", &serde_json::from_str(line).unwrap()),
            Vec::<String>::new(),
            "{line}"
        );
    }
    let again = folder
        .run("apply cut.yaml --sandbox --auto-approve --json")
        .succeeds()
        .json_lines();
    assert_eq!(self::types(&again), ["version", "change_summary", "recap"]);
}

#[test]
fn apply_tells_errors_in_its_lines_too() {
    let folder = Folder::seeded();
    folder.file("cut.yaml", &CUT.replace("1.8.0-rc.3", "nowhere"));
    let lines = folder
        .run("apply cut.yaml --sandbox --auto-approve --json")
        .ends_with(1)
        .json_lines();
    assert_eq!(types(&lines), ["version", "diagnostic", "change_summary"]);
    assert_eq!(lines[1]["diagnostic"]["code"], "plan/source-not-found");
    let lines = folder
        .run("apply nowhere.yaml --sandbox --auto-approve --json")
        .ends_with(1)
        .json_lines();
    assert_eq!(types(&lines), ["version", "diagnostic"]);
    assert!(lines[1]["@message"].as_str().unwrap().contains("nowhere.yaml"));
}

#[test]
fn events_go_to_a_file_beside_the_text() {
    let folder = Folder::seeded();
    folder.file("cut.yaml", CUT);
    let run = folder
        .run("apply cut.yaml --sandbox --auto-approve --json-into new/events.jsonl")
        .succeeds();
    assert!(run.out.contains("Apply complete!"), "{}", run.out);
    let events = folder.read("new/events.jsonl");
    assert!(
        events.lines().last().unwrap().contains("\"type\":\"recap\""),
        "{events}"
    );
}

#[test]
fn mistakes_are_listed_as_json() {
    let folder = Folder::new();
    folder
        .file("good.yaml", CUT)
        .file("bad.yaml", "version: 1\nrulez: []\n");
    let good = folder.run("validate good.yaml --json").succeeds().json();
    assert_eq!(
        (&good["valid"], &good["diagnostics"]),
        (&true.into(), &Value::Array(Vec::new()))
    );
    let bad = folder.run("validate bad.yaml --json").ends_with(1).json();
    assert_eq!(
        (&bad["valid"], &bad["error_count"]),
        (
            &false.into(),
            &(bad["diagnostics"].as_array().unwrap().len()).into()
        )
    );
    assert_eq!(bad["diagnostics"][0]["code"], "plan/unknown-key");
    assert_eq!(bad["diagnostics"][0]["range"]["start"]["line"], 2);
}

#[test]
fn a_changeset_fits_its_schema_and_hides_nothing_in_a_terminal() {
    let folder = Folder::seeded();
    let hostile = CUT.replace("version: 1", "version: 1\nname: \"a\\u009b31m\\u202e\"");
    folder.file("cut.yaml", &hostile);
    let run = folder
        .run("plan cut.yaml --sandbox --json --full --json-into saved.json")
        .succeeds();
    assert!(
        !run.out.contains('\u{9b}') && run.out.contains("\\u009b"),
        "{}",
        run.out
    );
    assert_eq!(misfits("changeset", &run.json()), Vec::<String>::new());
    let saved: Value = serde_json::from_str(&folder.read("saved.json")).unwrap();
    assert_eq!(saved, run.json());
}

#[test]
fn github_gets_outputs_a_summary_and_annotations() {
    let folder = Folder::seeded();
    let output = folder.path("output").display().to_string();
    let summary = folder.path("summary").display().to_string();
    let folder = folder
        .with("GITHUB_ACTIONS", "true")
        .with("GITHUB_OUTPUT", &output)
        .with("GITHUB_STEP_SUMMARY", &summary);
    let start_over = || {
        let _ = (fs::remove_file(&output), fs::remove_file(&summary));
    };
    folder
        .file("cut.yaml", CUT)
        .file("bad.yaml", "version: 1\nrulez: []\n");
    folder
        .run("plan cut.yaml --sandbox --out cut.json --gitlab-report report.json")
        .succeeds();
    assert!(
        folder
            .read("output")
            .starts_with("changes=true\nto_add=2\nto_change=1\nto_destroy=0\nplan_digest=sha256:")
    );
    assert!(
        folder
            .read("output")
            .ends_with("changeset_path=cut.json\nfailure_reason=\n")
    );
    assert!(folder.read("summary").starts_with("### ecr-retag plan"));
    assert_eq!(
        folder.read("report.json"),
        "{\"create\":2,\"update\":1,\"delete\":0}\n"
    );
    start_over();
    folder.run("apply cut.json --sandbox").succeeds();
    assert!(folder.read("summary").starts_with("### ecr-retag apply"));
    assert_eq!(folder.read("summary").matches("###").count(), 1);
    start_over();
    let bad = folder.run("validate bad.yaml").ends_with(1);
    assert!(
        bad.err.contains("\n::error file=bad.yaml,line=2,col=1,"),
        "{}",
        bad.err
    );
    assert!(folder.read("output").ends_with("failure_reason=error\n"));
    start_over();
    let lost = folder.run("plan nowhere.yaml").ends_with(1);
    assert!(
        lost.err
            .contains("\n::error title=ecr-retag::cannot read `nowhere.yaml`"),
        "{}",
        lost.err
    );
    assert!(
        folder
            .read("output")
            .contains("failure_reason=cannot read `nowhere.yaml`")
    );
    start_over();
    folder.run("schema plan").succeeds();
    assert!(!folder.path("output").exists());
}

#[test]
fn without_github_a_flag_does_the_same() {
    let folder = Folder::new();
    let output = folder.path("output").display().to_string();
    let folder = folder.with("GITHUB_OUTPUT", &output);
    folder.run("plan nowhere.yaml").ends_with(1);
    assert!(!folder.path("output").exists());
    folder.run("plan nowhere.yaml --github").ends_with(1);
    assert!(folder.path("output").exists());
}
