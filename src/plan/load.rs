//! From the text of plan files to a checked plan.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::Plan;
use crate::diagnostic::{Code, Diagnostic, Sources, Span};

/// A plan file that was read from somewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanInput {
    /// The path as it was given; `-` for standard input.
    pub path: PathBuf,
    /// The whole text.
    pub text: String,
}

/// Where the values of variables come from, the first source in this order winning.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VariableInputs {
    /// `--var NAME=VALUE`, in the order they were given; the last of a name holds.
    pub flags: Vec<(String, String)>,
    /// The files of `--var-file`, path and text, in the order they were given; the last of a name holds.
    pub files: Vec<(PathBuf, String)>,
    /// The environment; only `ECR_RETAG_VAR_*` counts.
    pub environment: BTreeMap<String, String>,
}

/// What came of loading plan files.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The plan; absent if there is any error.
    pub plan: Option<Plan>,
    /// The texts that the diagnostics point into.
    pub sources: Sources,
    /// Everything that is wrong or doubtful, sorted.
    pub diagnostics: Vec<Diagnostic>,
}

/// Loads plan files, given in order, as one plan.
///
/// `read_file` gives the text of a `map_file`; its path is relative to the folder of the plan file, and joined to it.
pub fn load(
    inputs: Vec<PlanInput>,
    _variables: &VariableInputs,
    _read_file: &dyn Fn(&Path) -> io::Result<String>,
) -> Loaded {
    let mut sources = Sources::default();
    let mut diagnostics = Vec::new();
    for input in inputs {
        let source = sources.add(input.path.display().to_string(), input.text.clone());
        diagnostics.push(Diagnostic::error(Code::NoRules, "the plan file has no rules").at(
            Span {
                source,
                start: 0,
                end: 0,
            },
            "",
        ));
    }
    Loaded {
        plan: None,
        sources,
        diagnostics,
    }
}
