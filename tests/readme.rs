//! What README.md shows is what happens.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

/// The blocks of commands with their output: each begins with `$ `, and lasts to the end of the block.
fn examples(text: &str) -> Vec<(&str, &str)> {
    text.split("```console\n$ ")
        .skip(1)
        .filter_map(|rest| rest.split_once("```")?.0.split_once('\n'))
        .collect()
}

#[test]
fn every_example_prints_what_it_shows() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join("README.md")).unwrap();
    let examples = examples(&text);
    assert!(!examples.is_empty());
    let program = Path::new(env!("CARGO_BIN_EXE_ecr-retag")).parent().unwrap();
    for (command, expected) in examples {
        // A folder of its own, so that the sandbox begins with its built-in seed.
        let folder = tempfile::tempdir().unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink(root.join("plans"), folder.path().join("plans")).unwrap();
        let output = Command::new("sh")
            .args(["-c", &format!("PATH={}:$PATH; {command}", program.display())])
            .current_dir(folder.path())
            .output()
            .unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), expected, "{command}");
    }
}

#[test]
fn every_plan_that_is_shown_is_valid() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let plans: Vec<&str> = text
        .split("```yaml\n")
        .skip(1)
        .filter_map(|rest| Some(rest.split_once("```")?.0))
        .filter(|yaml| yaml.starts_with("version: 1"))
        .collect();
    assert!(plans.len() >= 2);
    for plan in plans {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plan.yaml");
        fs::File::create(&path)
            .and_then(|mut file| file.write_all(plan.as_bytes()))
            .unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_ecr-retag"))
            .args(["validate", path.to_str().unwrap()])
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(
            output.stderr.is_empty(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}
