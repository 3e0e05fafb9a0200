//! Variables: where they are declared, and where their values come from.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::Check;
use crate::diagnostic::{Code, Diagnostic, Span};
use crate::plan::file::VarFile;
use crate::plan::reader::{Entries, Text};
use crate::plan::report::{did_you_mean, quoted};
use crate::plan::target::Name;
use crate::plan::var_file;

/// Where an environment variable gives the value of a variable, its name begins so.
const ENVIRONMENT_PREFIX: &str = "ECR_RETAG_VAR_";

/// What means something else in a template.
const KEYWORDS: [&str; 14] = [
    "true", "false", "none", "True", "False", "None", "not", "and", "or", "in", "is", "if", "else", "for",
];

/// Where the values of variables come from; what stands first here wins.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VariableInputs {
    /// `--var NAME=VALUE`, in the order they were given; the last of a name holds.
    pub flags: Vec<(String, String)>,
    /// The files of `--var-file`, path and text, in the order they were given; the last of a name holds.
    pub files: Vec<(PathBuf, String)>,
    /// The environment, of which only `ECR_RETAG_VAR_*` counts.
    pub environment: BTreeMap<String, String>,
}

/// The variables of a plan.
#[derive(Debug, Default)]
pub(in crate::plan) struct Variables(BTreeMap<String, Variable>);

#[derive(Debug)]
struct Variable {
    span: Span,
    description: Option<String>,
    default: Option<String>,
    is_required: bool,
    value: Option<String>,
    is_used: bool,
}

impl Variables {
    /// Whether there is such a variable; a value it may still lack, which was reported then.
    pub(super) fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// The value, after which the variable counts as used.
    pub(super) fn use_value(&mut self, name: &str) -> Option<&str> {
        let variable = self.0.get_mut(name)?;
        variable.is_used = true;
        variable.value.as_deref()
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    pub(super) fn span(&self, name: &str) -> Option<Span> {
        self.0.get(name).map(|variable| variable.span)
    }

    pub(super) fn into_values(self) -> BTreeMap<String, String> {
        self.0
            .into_iter()
            .filter_map(|(name, variable)| Some((name, variable.value?)))
            .collect()
    }
}

impl Check<'_> {
    pub(super) fn declare_variables<'f>(&mut self, files: impl Iterator<Item = &'f Entries<VarFile>>) {
        for (name, file) in files.flat_map(|entries| &entries.0) {
            self.check_variable_name(name);
            let owned = |text: &Text| text.text.clone();
            let (default, description, is_required) = match file {
                None => (Some(String::new()), None, false),
                Some(VarFile::Text(text)) => (Some(owned(text)), None, false),
                Some(VarFile::Mapping(mapping)) => (
                    mapping.default.as_ref().map(owned),
                    mapping.description.as_ref().map(owned),
                    mapping.required.is_some_and(|required| required.value),
                ),
            };
            let declared = Variable {
                span: name.span,
                description,
                value: default.clone(),
                default,
                is_required,
                is_used: false,
            };
            match self.variables.0.get(&name.text) {
                Some(first)
                    if first.default == declared.default && first.is_required == declared.is_required => {}
                Some(first) => {
                    let problem = Diagnostic::error(
                        Code::VariableConflict,
                        format!("the variable {} is declared in two ways", quoted(&name.text)),
                    )
                    .at(name.span, "here")
                    .at(first.span, "and differently here")
                    .help("several plan files are one plan: declare it equally, or in one of them");
                    self.report.push(problem);
                }
                None => {
                    self.variables.0.insert(name.text.clone(), declared);
                }
            }
        }
    }

    fn check_variable_name(&mut self, name: &Text) {
        let text = name.text.as_str();
        let is_word = text.starts_with(|c: char| c.is_ascii_alphabetic())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            && text.len() <= 64;
        if !is_word {
            let problem = Diagnostic::error(
                Code::InvalidVariableName,
                format!("{} cannot be the name of a variable", quoted(text)),
            );
            self.report.push(
                problem
                    .at(name.span, "")
                    .help("a name is up to 64 letters, digits and `_`, and begins with a letter"),
            );
        } else if is_reserved(text) {
            let problem = Diagnostic::error(
                Code::ReservedName,
                format!("{} has a meaning of its own in templates", quoted(text)),
            );
            self.report
                .push(problem.at(name.span, "").help("give the variable another name"));
        }
    }

    /// Fills in what was given from outside; reports what was given in vain, and what is lacking.
    pub(super) fn give_values(&mut self, inputs: &VariableInputs, is_whole: bool) {
        for (name, variable) in &mut self.variables.0 {
            if let Some(value) = inputs.environment.get(&format!("{ENVIRONMENT_PREFIX}{name}")) {
                variable.value = Some(value.clone());
            }
        }
        for (path, text) in &inputs.files {
            let source = self.sources.add(path.display().to_string(), text.clone());
            for (name, value) in var_file::read(text, source, &mut self.report) {
                self.give_value(&name.text, value, Some(name.span), is_whole);
            }
        }
        for (name, value) in &inputs.flags {
            self.give_value(name, value.clone(), None, is_whole);
        }
        for (name, variable) in &mut self.variables.0 {
            if variable.value.is_none() {
                let problem = Diagnostic::error(
                    Code::MissingVariable,
                    format!("the variable `{name}` has no value"),
                );
                let help = format!(
                    "give it with `--var {name}=…`, in a `--var-file`, or as `{ENVIRONMENT_PREFIX}{name}`"
                );
                let description = variable.description.as_deref().unwrap_or_default();
                self.report
                    .push(problem.at(variable.span, description).help(help));
            }
        }
    }

    fn give_value(&mut self, name: &str, value: String, span: Option<Span>, is_whole: bool) {
        if let Some(variable) = self.variables.0.get_mut(name) {
            variable.value = Some(value);
        } else if is_whole {
            let help = did_you_mean(
                name,
                self.variables.names(),
                "declare it under `vars`, or leave it out",
            );
            let mut problem = Diagnostic::error(
                Code::UndeclaredVariable,
                format!(
                    "a value is given for {}, which the plan does not declare",
                    quoted(name)
                ),
            );
            if let Some(span) = span {
                problem = problem.at(span, "");
            }
            self.report.push(problem.help(help));
        }
    }

    pub(super) fn report_unused_variables(&mut self) {
        for (name, variable) in &self.variables.0 {
            if !variable.is_used {
                let problem = Diagnostic::warning(
                    Code::UnusedVariable,
                    format!("nothing uses the variable `{name}`"),
                );
                let help = format!("write `${{{name}}}` where it belongs, or take it away");
                self.report.push(problem.at(variable.span, "").help(help));
            }
        }
    }
}

/// Whether a name means something by itself in a template.
fn is_reserved(name: &str) -> bool {
    let built_in = Name::OF_IMAGES.iter().chain(&Name::OF_VERSIONS);
    name == "tag" || KEYWORDS.contains(&name) || built_in.into_iter().any(|(own, _)| *own == name)
}
