//! Exit codes, and one clear error for each thing that can be wrong.

use std::process::Stdio;

use crate::support::{Folder, Run};

/// One rule of one repository: `1.8.0-rc.3` becomes `1.8.0`, `stable` and `previous` move along.
pub(crate) const CUT: &str = "\
version: 1
rules:
  - name: promote
    repositories: shop/api
    from: 1.8.0-rc.3
    to: [1.8.0, stable]
    backup: { stable: previous }
";

#[test]
fn each_end_has_its_code() {
    let folder = Folder::seeded();
    folder.file("cut.yaml", CUT);
    folder.run("validate cut.yaml").succeeds();
    folder.run("plan cut.yaml --sandbox").succeeds();
    folder
        .run("plan cut.yaml --sandbox --detailed-exitcode")
        .ends_with(2);
    folder
        .run("plan cut.yaml --sandbox --no-such-option")
        .ends_with(64);
    folder.run("").ends_with(64);
    let no_answer = folder.run("apply cut.yaml --sandbox").ends_with(1);
    assert!(
        no_answer.err.contains("--auto-approve") && no_answer.err.contains("plan --out"),
        "{}",
        no_answer.err
    );
    assert_eq!(folder.files(), ["cut.yaml"]);
    folder.run("apply cut.yaml --sandbox --auto-approve").succeeds();
    folder
        .run("plan cut.yaml --sandbox --detailed-exitcode")
        .succeeds();
    folder.file("protected.yaml", "version: 1\npolicy: { protect: stable }\nrules: [{ name: back, repositories: shop/api, from: 1.7.2, to: stable }]");
    folder
        .run("plan protected.yaml --sandbox --detailed-exitcode")
        .ends_with(5);
    folder.file("limited.yaml", "version: 1\npolicy: { max_moves: 0 }\nrules: [{ name: back, repositories: shop/api, from: 1.7.2, to: stable }]");
    let warned = folder.run("plan limited.yaml --sandbox").succeeds();
    assert!(warned.err.contains("[plan/limit-passed]"), "{}", warned.err);
    let refused = folder
        .run("apply limited.yaml --sandbox --auto-approve")
        .ends_with(5);
    assert!(
        refused.err.contains("policy.max_moves") && refused.err.contains("--allow-moves 1"),
        "{}",
        refused.err
    );
    folder
        .run("apply limited.yaml --sandbox --auto-approve --allow-moves 1")
        .succeeds();
}

#[test]
fn only_yes_is_a_yes() {
    let folder = Folder::seeded();
    folder.file("cut.yaml", CUT);
    let Some(declined) = at_a_terminal(&folder, "apply cut.yaml --sandbox", "y\n") else {
        return;
    };
    assert_eq!(declined.code, 6, "{declined:#?}");
    assert!(
        declined
            .out
            .contains("Do you want to perform these actions in 123456789012/us-east-1?"),
        "{}",
        declined.out
    );
    assert!(declined.out.contains("Apply cancelled."));
    folder
        .run("plan cut.yaml --sandbox --detailed-exitcode")
        .ends_with(2);
    let applied = at_a_terminal(&folder, "apply cut.yaml --sandbox", "yes\n").unwrap();
    assert_eq!(applied.code, 0, "{applied:#?}");
    assert!(
        applied
            .out
            .contains("Apply complete! Tags: 2 added, 1 changed, 0 destroyed."),
        "{}",
        applied.out
    );
}

/// Runs the program with a terminal, where Python is there to make one.
fn at_a_terminal(folder: &Folder, arguments: &str, answer: &str) -> Option<Run> {
    const SCRIPT: &str = "
import os, pty, sys
answer = sys.argv[1].encode()
pid, terminal = pty.fork()
if pid == 0:
    os.execv(sys.argv[2], sys.argv[2:])
seen, is_answered = b'', False
while True:
    try:
        piece = os.read(terminal, 4096)
    except OSError:
        break
    if not piece:
        break
    seen += piece
    if b'Enter a value:' in seen and not is_answered:
        os.write(terminal, answer)
        is_answered = True
sys.stdout.buffer.write(seen.replace(b'\\r\\n', b'\\n'))
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))";
    let mut command = folder.command("python3");
    command.args(["-c", SCRIPT, answer, env!("CARGO_BIN_EXE_ecr-retag")]);
    command.args(arguments.split_whitespace()).env("TERM", "dumb");
    command.output().ok().map(Run::from)
}

#[test]
fn a_closed_pipe_ends_a_reading_command_quietly() {
    let folder = Folder::seeded();
    folder.file("all.yaml", "version: 1\nrules: [{ name: all, repositories: '*', from: { glob: '*', exclude: 'x-*' }, to: 'x-${tag}', on_missing: ignore }]");
    for command in [
        "plan all.yaml --sandbox --full",
        "plan all.yaml --sandbox --json",
        "schema plan",
        "man",
    ] {
        let script = format!(
            "{} {command} 2>err | head -n 1; echo \"${{PIPESTATUS[0]}}\"",
            env!("CARGO_BIN_EXE_ecr-retag")
        );
        let output = folder.command("bash").args(["-c", &script]).output().unwrap();
        let out = String::from_utf8(output.stdout).unwrap();
        assert!(out.ends_with("\n0\n"), "{command}: {out}");
        assert_eq!(folder.read("err"), "", "{command}");
    }
}

#[test]
fn apply_goes_on_when_nobody_reads_any_more() {
    let folder = Folder::seeded();
    folder.file("cut.yaml", CUT);
    for format in ["--full", "--json"] {
        let mut command = folder.command(env!("CARGO_BIN_EXE_ecr-retag"));
        command.args(["apply", "cut.yaml", "--sandbox", "--auto-approve", format]);
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        assert_eq!(child.wait().unwrap().code(), Some(0));
        folder
            .run("plan cut.yaml --sandbox --detailed-exitcode")
            .succeeds();
    }
}

#[test]
fn what_is_wrong_is_said_once_and_nothing_is_written() {
    let rule = |keys: &str| format!("version: 1\nrules: [{{ name: a, {keys} }}]");
    let files = [
        ("yaml.yaml", "version: [1".to_owned()),
        ("key.yaml", "version: 1\nrulez: []".to_owned()),
        ("glob.yaml", rule("repositories: shop/api, from: 'v[1', to: x")),
        (
            "template.yaml",
            rule("repositories: shop/api, from: stable, to: '${tag'"),
        ),
        (
            "tag.yaml",
            rule("repositories: shop/api, from: stable, to: 'a b'"),
        ),
        (
            "repository.yaml",
            rule("repositories: shop/none, from: stable, to: x"),
        ),
        (
            "source.yaml",
            rule("repositories: shop/api, from: nowhere, to: x"),
        ),
        ("good.yaml", rule("repositories: shop/api, from: stable, to: x")),
        ("broken.json", "{\"format_version\": \"1.0\"}".to_owned()),
        ("future.json", "{\"format_version\": \"2.0\"}".to_owned()),
    ];
    let folder = Folder::seeded();
    for (file, text) in &files {
        folder.file(file, text);
    }
    let before = folder.files();
    for (arguments, code, message) in [
        ("plan missing.yaml", 1, "cannot read `missing.yaml`"),
        ("plan .ecr-retag", 1, "holds no plan file"),
        ("plan yaml.yaml --sandbox", 1, "[plan/invalid-yaml]"),
        ("plan key.yaml --sandbox", 1, "[plan/unknown-key]"),
        ("plan glob.yaml --sandbox", 1, "[plan/bad-glob]"),
        ("plan template.yaml --sandbox", 1, "[plan/bad-template]"),
        ("plan tag.yaml --sandbox", 1, "[plan/invalid-tag]"),
        ("plan repository.yaml --sandbox", 1, "[plan/repository-not-found]"),
        ("plan source.yaml --sandbox", 1, "[plan/source-not-found]"),
        (
            "plan good.yaml --sandbox --var a=b",
            1,
            "[plan/undeclared-variable]",
        ),
        ("plan good.yaml --sandbox --var a", 64, "NAME=VALUE"),
        ("plan good.yaml --sandbox --target [", 64, "is not a glob"),
        ("plan good.yaml", 1, "region"),
        ("plan good.yaml --region us-east-1", 1, "credentials"),
        ("apply broken.json --sandbox", 1, "the changeset cannot be read"),
        ("show future.json", 1, "format version 2.0"),
        (
            "plan good.yaml --sandbox --out missing/dir/../../good.yaml/x.json",
            1,
            "cannot write",
        ),
    ] {
        let said = folder.run(arguments).ends_with(code);
        let errors = said
            .err
            .lines()
            .filter(|line| line.starts_with("Error: "))
            .count();
        assert_eq!(errors, 1, "{arguments}\n{}", said.err);
        assert!(said.err.contains(message), "{arguments}\n{}", said.err);
    }
    assert_eq!(folder.files(), before);
}

#[test]
fn an_endpoint_that_is_down_is_one_error() {
    let folder = Folder::new()
        .with("AWS_ACCESS_KEY_ID", "test")
        .with("AWS_SECRET_ACCESS_KEY", "test");
    folder.file("cut.yaml", CUT);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let arguments = format!("plan cut.yaml --region us-east-1 --endpoint-url http://{address}");
    let said = folder.run(&arguments).ends_with(1);
    let message = format!("Error: no connection to `http://{address}` can be made: ");
    assert!(said.err.starts_with(&message), "{}", said.err);
    assert!(said.err.contains("\n  help: check the endpoint"), "{}", said.err);
    assert_eq!(said.err.matches("Error: ").count(), 1, "{}", said.err);
}
