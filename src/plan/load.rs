//! From the text of plan files to a checked plan.

use std::io;
use std::path::{Path, PathBuf};

use super::Plan;
use super::check::{self, ReadFile, VariableInputs};
use super::file::PlanFile;
use super::reader::{FromNode, Reader};
use super::report::{Report, quoted};
use crate::diagnostic::{Code, Diagnostic, Sources, Span};
use crate::yaml::{self, Value, YamlError};

/// A plan file that was read from somewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanInput {
    /// The path as it was given; `-` for standard input.
    pub path: PathBuf,
    /// The whole text.
    pub text: String,
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

/// Loads plan files as one plan, and reports everything that is wrong with them.
///
/// `read_file` gives the text of a `map_file`, whose path is joined to the folder of the plan file that names it;
/// nothing else is read, and no clock is asked.
pub fn load(
    inputs: Vec<PlanInput>,
    variables: &VariableInputs,
    read_file: &dyn Fn(&Path) -> io::Result<String>,
) -> Loaded {
    let mut sources = Sources::default();
    let mut report = Report::default();
    let mut files = Vec::new();
    let inputs_count = inputs.len();
    for PlanInput { path, text } in inputs {
        let source = sources.add(path.display().to_string(), text);
        let text = sources.get(source).map_or("", |source| source.text.as_str());
        if let Some(file) = read(text, source, &mut report) {
            files.push(ReadFile { path, file });
        }
    }
    let is_whole = files.len() == inputs_count;
    let (plan, sources, report) = check::plan(&files, is_whole, (sources, report), variables, read_file);
    Loaded {
        plan,
        sources,
        diagnostics: report.into_sorted(),
    }
}

fn read(text: &str, source: u32, report: &mut Report) -> Option<PlanFile> {
    let node = report.keep(yaml::parse(text).map_err(|error| not_yaml(&error, text, source)))?;
    let mut own = Report::default();
    let mut reader = Reader {
        source,
        text,
        report: &mut own,
    };
    let problem = match &node.value {
        Value::Mapping(_) => None,
        Value::Empty => Some(Diagnostic::error(Code::EmptyFile, "the plan file is empty")),
        other => {
            let message = format!("a plan file is a mapping, this is {}", other.kind());
            Some(Diagnostic::error(Code::WrongType, message))
        }
    };
    if let Some(problem) = problem {
        let span = reader.span(&node);
        report.push(problem.at(span, "").help("begin with `version: 1` and `rules:`"));
        return None;
    }
    let file = PlanFile::from_node(&node, "the plan file", &mut reader);
    let version = file.as_ref().and_then(|file| file.version.as_ref());
    if let Some(version) = version.filter(|version| version.text != "1") {
        // What else is written there may well be right in a file of that version.
        let problem = Diagnostic::error(
            Code::UnsupportedVersion,
            format!("plan files of version {} are not known", quoted(&version.text)),
        );
        report.push(
            problem
                .at(version.span, "")
                .help("this program reads `version: 1`"),
        );
        return None;
    }
    report.append(own);
    file
}

fn not_yaml(error: &YamlError, text: &str, source: u32) -> Diagnostic {
    let byte = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
    let span = Span {
        source,
        start: byte(error.span.start),
        end: byte(error.span.end),
    };
    let problem = Diagnostic::error(Code::InvalidYaml, error.message.clone()).at(span, "");
    let at = text.get(error.span.start..).unwrap_or_default();
    if at.starts_with('*') && error.message.contains("anchor") {
        problem.help("a text that begins with `*` needs quotes, since it is an alias otherwise: `\"*\"`")
    } else {
        problem
    }
}
