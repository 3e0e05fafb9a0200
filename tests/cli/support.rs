//! A folder to run the program in.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use ecr_retag::yaml::{self, Node};
use serde_json::Value;
use tempfile::TempDir;

/// A folder that is gone when the test is over.
pub(crate) struct Folder {
    folder: TempDir,
    environment: Vec<(String, String)>,
}

/// How a run of the program ended.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Folder {
    pub(crate) fn new() -> Self {
        Self {
            folder: TempDir::new().unwrap(),
            environment: Vec::new(),
        }
    }

    /// A folder whose sandbox holds the built-in seed; making it once is enough for all tests.
    pub(crate) fn seeded() -> Self {
        static STATE: OnceLock<Vec<u8>> = OnceLock::new();
        let state = STATE.get_or_init(|| {
            let folder = Self::new();
            folder.run("sandbox reset").succeeds();
            fs::read(folder.path(".ecr-retag/sandbox.json")).unwrap()
        });
        let folder = Self::new();
        folder.file_of(".ecr-retag/sandbox.json", state);
        folder
    }

    /// Sets an environment variable for the runs; `PATH` aside they have no other.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    pub(crate) fn file(&self, file: &str, text: &str) -> &Self {
        self.file_of(file, text.as_bytes());
        self
    }

    fn file_of(&self, file: &str, bytes: &[u8]) {
        let path = self.path(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::File::create(path).unwrap().write_all(bytes).unwrap();
    }

    pub(crate) fn read(&self, file: &str) -> String {
        fs::read_to_string(self.path(file)).unwrap()
    }

    /// Everything that is in the folder, without the sandbox's own files.
    pub(crate) fn files(&self) -> Vec<String> {
        let mut files = Vec::new();
        let mut folders = vec![self.folder.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let name = path.strip_prefix(self.folder.path()).unwrap().to_str().unwrap();
                if path.is_dir() {
                    folders.push(path);
                } else if !name.contains("sandbox.json") {
                    files.push(name.to_owned());
                }
            }
        }
        files.sort();
        files
    }

    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.folder.path())
            .env_clear()
            .env("HOME", self.folder.path())
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null());
        command
    }

    /// Runs the program with these arguments, separated by blanks.
    pub(crate) fn run(&self, arguments: &str) -> Run {
        let mut command = self.command(env!("CARGO_BIN_EXE_ecr-retag"));
        command
            .args(arguments.split_whitespace())
            .output()
            .unwrap()
            .into()
    }

    /// Runs the program with these arguments and this on its standard input.
    pub(crate) fn run_with(&self, arguments: &str, input: &str) -> Run {
        let mut command = self.command(env!("CARGO_BIN_EXE_ecr-retag"));
        command
            .args(arguments.split_whitespace())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // Who does not want it closes the pipe.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap().into()
    }
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Run {
    #[track_caller]
    pub(crate) fn ends_with(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:#?}");
        self
    }

    #[track_caller]
    pub(crate) fn succeeds(self) -> Self {
        self.ends_with(0)
    }

    /// Standard output as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap()
    }

    /// Standard output as JSON, line by line.
    pub(crate) fn json_lines(&self) -> Vec<Value> {
        self.out
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

/// A file of the repository.
pub(crate) fn of_repository(path: &str) -> PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Compares a text with a file of the repository; `UPDATE_EXPECT=1` writes the file anew.
#[track_caller]
pub(crate) fn assert_current(path: &str, text: &str) {
    let path = of_repository(path);
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::File::create(&path)
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        text,
        found,
        "{} is stale; UPDATE_EXPECT=1 writes it anew",
        path.display()
    );
}

/// A plan file as an editor sees it: plain scalars become what YAML 1.2 makes of them.
pub(crate) fn to_json(node: &Node) -> Value {
    match &node.value {
        yaml::Value::Empty => Value::Null,
        yaml::Value::Scalar { text, is_plain } => {
            let parsed = serde_json::from_str::<Value>(text).ok();
            let is_json = parsed.filter(|value| *is_plain && !value.is_string() && !value.is_null());
            is_json.unwrap_or_else(|| text.as_str().into())
        }
        yaml::Value::Sequence(items) => items.iter().map(to_json).collect(),
        yaml::Value::Mapping(pairs) => pairs
            .iter()
            .map(|(key, value)| match &key.value {
                yaml::Value::Scalar { text, .. } => (text.clone(), to_json(value)),
                _ => (String::new(), to_json(value)),
            })
            .collect::<serde_json::Map<_, _>>()
            .into(),
    }
}
