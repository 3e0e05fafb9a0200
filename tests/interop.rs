//! Clients and servers that others wrote; the tests themselves are in Python, under `tests/interop`.

use std::process::Command;

/// What `run.py` exits with if its packages cannot be installed.
const SKIPPED: i32 = 77;

#[test]
fn others_agree() {
    let run = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop/run.py");
    let python = Command::new("python3")
        .arg(run)
        .env("ECR_RETAG_BIN", env!("CARGO_BIN_EXE_ecr-retag"))
        .output();
    let is_ci = std::env::var_os("CI").is_some();
    let skip = |why: &str| {
        assert!(!is_ci, "CI must run the interoperability tests: {why}");
        eprintln!("skipped: {why}");
    };
    match python {
        Err(error) => skip(&format!("there is no python3: {error}")),
        Ok(output) => {
            let shown = String::from_utf8_lossy(&output.stdout);
            eprintln!("{shown}{}", String::from_utf8_lossy(&output.stderr));
            match output.status.code() {
                Some(0) => {}
                Some(SKIPPED) => skip(&shown),
                _ => panic!("an interoperability test failed"),
            }
        }
    }
}
