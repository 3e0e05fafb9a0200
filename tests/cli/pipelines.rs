//! The GitHub action and the GitLab template: their shell parts, run with stand-ins for what only CI has.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;

use crate::exits::CUT;
use crate::support::{Folder, Run, of_repository, to_json};

fn yaml(path: &str) -> Value {
    let text = fs::read_to_string(of_repository(path)).unwrap();
    to_json(&ecr_retag::yaml::parse(&text).unwrap())
}

/// Puts a program into the folder's `bin`.
fn program(folder: &Folder, name: &str, script: &str) {
    let path = format!("bin/{name}");
    folder.file(&path, script);
    fs::set_permissions(folder.path(&path), fs::Permissions::from_mode(0o755)).unwrap();
}

/// A folder with `ecr-retag` on the sandbox, and a `gh` that writes down how it is called and answers from `gh.answers`.
fn runner() -> Folder {
    let folder = Folder::seeded();
    let binary = env!("CARGO_BIN_EXE_ecr-retag");
    program(
        &folder,
        "ecr-retag",
        &format!(
            "#!/bin/bash\ncase \"$1\" in show) exec {binary} \"$@\" ;; *) exec {binary} \"$@\" --sandbox ;; esac\n"
        ),
    );
    program(
        &folder,
        "gh",
        "#!/bin/bash\nprintf '%s\\n' \"$*\" >> gh.calls\n\
         for argument; do case \"$argument\" in body=@*) cp \"${argument#body=@}\" comment.md ;; esac; done\n\
         case \"$*\" in \
         *'/pulls '*) echo abc123 ;; \
         *'artifacts?name='*) cat run.id 2> /dev/null || true ;; \
         'run download'*) cp kept.json changeset.json ;; \
         *--paginate*) cat comment.id 2> /dev/null || true ;; \
         esac\n",
    );
    let path = format!(
        "{}:{}",
        folder.path("bin").display(),
        std::env::var_os("PATH").unwrap().display()
    );
    let output = folder.path("output").display().to_string();
    folder.file("cut.yaml", CUT);
    folder
        .with("PATH", &path)
        .with("GITHUB_ACTIONS", "true")
        .with("GITHUB_REPOSITORY", "some/where")
        .with("GITHUB_SHA", "merged")
        .with("GITHUB_OUTPUT", &output)
}

/// Runs a step of the action as the runner does, its inputs filled in.
fn step(folder: &Folder, name: &str, inputs: &[(&str, &str)]) -> Run {
    let action = yaml("action.yml");
    let steps = action["runs"]["steps"].as_array().unwrap();
    let step = steps.iter().find(|step| step["name"] == name).unwrap();
    let given: BTreeMap<&str, &str> = inputs.iter().copied().collect();
    let mut command = folder.command("bash");
    command.args([
        "--noprofile",
        "--norc",
        "-e",
        "-o",
        "pipefail",
        "-c",
        step["run"].as_str().unwrap(),
    ]);
    for (variable, expression) in step["env"].as_object().unwrap() {
        let expression = expression.as_str().unwrap();
        let input = expression.trim_start_matches("${{ ").trim_end_matches(" }}");
        let default = input
            .strip_prefix("inputs.")
            .and_then(|name| action["inputs"][name]["default"].as_str());
        let value = given.get(input).copied().or(default).unwrap_or_default();
        command.env(variable, value);
    }
    command.output().unwrap().into()
}

const PLAN: [(&str, &str); 3] = [
    ("inputs.command", "plan"),
    ("inputs.plan", "cut.yaml"),
    ("inputs.changeset", "changeset.json"),
];
const APPLY: [(&str, &str); 2] = [
    ("inputs.command", "apply"),
    ("inputs.changeset", "changeset.json"),
];

#[test]
fn the_action_plans_comments_and_applies() {
    let folder = runner();
    step(&folder, "Check the inputs", &PLAN).succeeds();
    step(&folder, "Check the inputs", &[("inputs.command", "destroy; ls")]).ends_with(64);
    step(&folder, "Install ecr-retag, unless it is there", &PLAN).succeeds();
    let planned = step(&folder, "Plan or apply", &PLAN).succeeds();
    assert!(
        planned.out.contains("Plan: 2 to add, 1 to change, 0 to destroy."),
        "{}",
        planned.out
    );
    assert!(folder.read("output").contains("changes=true\n"));

    let mut comment = PLAN.to_vec();
    comment.extend([
        ("github.event.pull_request.number", "7"),
        ("steps.run.outcome", "success"),
    ]);
    let show = |folder: &Folder| step(folder, "Show the plan on the pull request", &comment).succeeds();
    show(&folder);
    assert!(
        folder
            .read("comment.md")
            .starts_with("<!-- ecr-retag: ecr-retag -->\n### ecr-retag plan")
    );
    assert!(
        folder
            .read("gh.calls")
            .contains("--method POST repos/some/where/issues/7/comments")
    );
    folder.file("comment.id", "41\n42\n");
    show(&folder);
    assert!(
        folder
            .read("gh.calls")
            .contains("--method PATCH repos/some/where/issues/comments/41")
    );

    fs::rename(folder.path("changeset.json"), folder.path("kept.json")).unwrap();
    let fetch = "Fetch the changeset that was reviewed";
    let nothing = step(&folder, fetch, &APPLY).ends_with(1);
    assert!(
        nothing
            .out
            .contains("::error title=ecr-retag::no changeset was saved"),
        "{}",
        nothing.out
    );
    folder.file("run.id", "99\n");
    step(&folder, fetch, &APPLY).succeeds();
    assert!(
        folder
            .read("gh.calls")
            .contains("run download 99 --repo some/where --name ecr-retag-abc123 --dir .")
    );
    let applied = step(&folder, "Plan or apply", &APPLY).succeeds();
    assert!(
        applied
            .out
            .contains("Apply complete! Tags: 2 added, 1 changed, 0 destroyed."),
        "{}",
        applied.out
    );
}

#[test]
fn the_action_fails_as_the_program_does_and_says_why() {
    let folder = runner();
    folder.file("cut.yaml", "version: 1\nrulez: []\n");
    step(&folder, "Plan or apply", &PLAN).ends_with(1);
    let mut comment = PLAN.to_vec();
    comment.extend([
        ("github.event.pull_request.number", "7"),
        ("steps.run.outcome", "failure"),
        ("steps.run.outputs.failure_reason", "error `x` $(touch owned)"),
    ]);
    step(&folder, "Show the plan on the pull request", &comment).succeeds();
    assert!(
        folder
            .read("comment.md")
            .contains("```text\nerror `x` $(touch owned)\n```")
    );
    assert!(!folder.path("owned").exists());
    let hostile = [
        ("inputs.command", "plan"),
        ("inputs.plan", "cut.yaml;touch owned *"),
        ("inputs.changeset", "c.json"),
    ];
    step(&folder, "Plan or apply", &hostile).ends_with(1);
    assert!(!folder.path("owned").exists());
}

#[test]
fn every_output_of_the_action_is_one_that_the_program_writes() {
    let folder = runner();
    folder.run("plan cut.yaml --sandbox").succeeds();
    let written = folder.read("output");
    let mut written: Vec<&str> = written
        .lines()
        .filter_map(|line| Some(line.split_once('=')?.0))
        .collect();
    written.sort_unstable();
    let action = yaml("action.yml");
    let mut declared: Vec<&String> = action["outputs"].as_object().unwrap().keys().collect();
    declared.sort_unstable();
    assert_eq!(declared, written);
}

/// Runs a script where there is no `ecr-retag`, and a `cargo` that writes down how it is called.
fn install(script: &str, variable: (&str, &str)) -> (Folder, Run) {
    let folder = Folder::new();
    program(
        &folder,
        "cargo",
        "#!/bin/bash\nprintf '%s\\n' \"$*\" > cargo.calls\n",
    );
    let path = format!("{}:/usr/bin:/bin", folder.path("bin").display());
    let folder = folder.with("PATH", &path).with(variable.0, variable.1);
    let mut command = folder.command("bash");
    let run = command
        .args(["-e", "-o", "pipefail", "-c", script])
        .output()
        .unwrap()
        .into();
    (folder, run)
}

#[test]
fn what_is_not_there_is_installed() {
    let action = yaml("action.yml");
    let script = action["runs"]["steps"][1]["run"].as_str().unwrap();
    let (folder, run) = install(script, ("SOURCE", "/action"));
    run.succeeds();
    assert_eq!(folder.read("cargo.calls"), "install --locked --path /action\n");

    let template = yaml("ci/gitlab.yml");
    let script = template[".ecr-retag"]["before_script"][0].as_str().unwrap();
    let (folder, run) = install(script, ("ECR_RETAG_SOURCE", "https://git.example/tools"));
    run.succeeds();
    assert_eq!(
        folder.read("cargo.calls"),
        "install --locked --git https://git.example/tools\n"
    );
    let declared = template["variables"]["ECR_RETAG_SOURCE"]["value"]
        .as_str()
        .unwrap();
    let (_, run) = install(script, ("ECR_RETAG_SOURCE", declared));
    let run = run.ends_with(64);
    assert!(run.err.starts_with("Error: set ECR_RETAG_SOURCE"), "{}", run.err);
}

#[test]
fn the_template_for_gitlab_plans_and_applies() {
    let folder = runner();
    let template = yaml("ci/gitlab.yml");
    let run = |job: &str| -> Run {
        let script = template[job]["script"][0].as_str().unwrap();
        let mut command = folder.command("bash");
        command.args(["-e", "-o", "pipefail", "-c", script]);
        command
            .env("ECR_RETAG_PLAN", "cut.yaml")
            .env("ECR_RETAG_ARGS", "");
        command.output().unwrap().into()
    };
    run("ecr-retag:plan").succeeds();
    assert_eq!(
        folder.read("report.json"),
        "{\"create\":2,\"update\":1,\"delete\":0}\n"
    );
    run("ecr-retag:apply").succeeds();
    run("ecr-retag:plan").succeeds();
    assert_eq!(
        folder.read("report.json"),
        "{\"create\":0,\"update\":0,\"delete\":0}\n"
    );
}
