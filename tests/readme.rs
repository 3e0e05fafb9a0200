//! What README.md shows is what happens.

use std::fs;
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
