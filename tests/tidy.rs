//! The house rules that no compiler checks: which room may import which, and how large a file may grow.

#![expect(clippy::unwrap_used, reason = "what goes wrong in a test should end it")]

use std::fs;
use std::path::{Path, PathBuf};

/// The rooms, and for each those it may import besides itself.
const ROOMS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("yaml", &[]),
    ("diagnostic", &[]),
    ("inventory", &["model"]),
    ("plan", &["model", "diagnostic", "yaml", "inventory"]),
    ("changeset", &["model", "diagnostic", "inventory", "plan"]),
    ("event", &["model"]),
    (
        "registry",
        &["model", "diagnostic", "inventory", "plan", "changeset", "event"],
    ),
    (
        "survey",
        &[
            "model",
            "diagnostic",
            "inventory",
            "plan",
            "changeset",
            "event",
            "registry",
        ],
    ),
    (
        "apply",
        &[
            "model",
            "diagnostic",
            "inventory",
            "plan",
            "changeset",
            "event",
            "registry",
        ],
    ),
    ("put_image", &["model", "yaml", "plan", "registry"]),
    ("sandbox", &["model", "yaml"]),
    (
        "render",
        &[
            "model",
            "diagnostic",
            "inventory",
            "plan",
            "changeset",
            "event",
            "apply",
            "registry",
        ],
    ),
];

/// A file past this is two ideas.
const LINES_MAX: usize = 700;

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|end| end == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

fn sources() -> Vec<(PathBuf, String)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        (path.strip_prefix(&src).unwrap().to_owned(), text)
    };
    rust_files(&src).into_iter().map(read).collect()
}

/// The code without its unit tests, which may reach further.
fn without_tests(text: &str) -> &str {
    text.split_once("#[cfg(test)]\nmod tests {")
        .map_or(text, |(code, _)| code)
}

fn room_of(path: &Path) -> String {
    let first = path.components().next().unwrap().as_os_str().to_str().unwrap();
    first.trim_end_matches(".rs").to_owned()
}

#[test]
fn rooms_import_only_what_lies_below_them() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let room = room_of(&path);
        let is_test = path
            .file_name()
            .is_some_and(|name| name == "tests.rs" || name == "testing.rs");
        let Some((_, allowed)) = ROOMS.iter().find(|(name, _)| *name == room) else {
            continue;
        };
        if is_test {
            continue;
        }
        for (number, line) in without_tests(&text).lines().enumerate() {
            if line.trim_start().starts_with("//") {
                continue;
            }
            for used in line.split("crate::").skip(1) {
                let used: String = used
                    .chars()
                    .take_while(|c| c.is_ascii_lowercase() || *c == '_')
                    .collect();
                let is_room =
                    ROOMS.iter().any(|(name, _)| *name == used) || ["cli", "put_image"].contains(&&*used);
                if is_room && used != room && !allowed.contains(&&*used) {
                    wrong.push(format!(
                        "src/{}:{}: `{room}` imports `{used}`",
                        path.display(),
                        number + 1
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn only_some_files_name_the_sdk_and_the_yaml_crate() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let room = room_of(&path);
        let code = without_tests(&text);
        if code.contains("serde_yaml::") && path != Path::new("yaml.rs") {
            wrong.push(format!("src/{} names the YAML crate", path.display()));
        }
        if code.contains("aws_sdk_ecr::") && !["registry", "put_image"].contains(&&*room) {
            wrong.push(format!("src/{} names the SDK", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_file_has_grown_past_one_idea() {
    for (path, text) in sources() {
        let lines = without_tests(&text).lines().count();
        assert!(
            lines <= LINES_MAX,
            "src/{} has {lines} lines of code",
            path.display()
        );
    }
}

#[test]
fn nothing_is_left_to_do_later_and_no_lint_is_silenced_without_a_reason() {
    for (path, text) in sources() {
        for (number, line) in text.lines().enumerate() {
            let place = format!("src/{}:{}", path.display(), number + 1);
            assert!(
                !line.contains("TODO") && !line.contains("FIXME"),
                "{place}: {line}"
            );
            assert!(!line.contains("#[allow("), "{place}: {line}");
            assert!(
                !line.trim_end().ends_with("=====") && !line.contains("// ---"),
                "{place}: {line}"
            );
        }
    }
}
