//! From the structs of plan files to one checked plan, reporting everything that is wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use super::file::PlanFile;
use super::report::Report;
use super::{Plan, PlanSource, Rule};
use crate::diagnostic::{Code, Diagnostic, Label, Sources, Span};
use crate::model::{Digest, RegistryKey};

mod compiled;
mod map_file;
mod mapping;
mod names;
mod policy;
mod registries;
mod rule;
mod selector;
mod target;
mod variables;

use compiled::Compiled;
pub use variables::VariableInputs;
use variables::Variables;

/// A plan file that was read into its structs.
#[derive(Debug)]
pub(super) struct ReadFile {
    pub(super) path: PathBuf,
    pub(super) file: PlanFile,
}

/// What checking needs to hand.
pub(super) struct Check<'a> {
    pub(super) report: Report,
    pub(super) sources: Sources,
    variables: Variables,
    registries: BTreeSet<RegistryKey>,
    compiled: Compiled,
    read_file: &'a dyn Fn(&Path) -> io::Result<String>,
    /// The mapping files that were read, and which source each is.
    map_files: BTreeMap<PathBuf, Option<u32>>,
    /// The plan file that is being checked.
    path: PathBuf,
}

/// Checks plan files as one plan; `None` if there is any error.
///
/// `is_whole` says that every file could be read: else a variable that nobody uses, or that nobody declares, may well
/// be used or declared where nothing could be read.
pub(super) fn plan(
    files: &[ReadFile],
    is_whole: bool,
    (sources, report): (Sources, Report),
    inputs: &VariableInputs,
    read_file: &dyn Fn(&Path) -> io::Result<String>,
) -> (Option<Plan>, Sources, Report) {
    let mut check = Check {
        report,
        sources,
        variables: Variables::default(),
        registries: BTreeSet::new(),
        compiled: Compiled::default(),
        read_file,
        map_files: BTreeMap::new(),
        path: PathBuf::new(),
    };
    let declared = files.iter().filter_map(|read| read.file.vars.as_ref());
    check.declare_variables(declared);
    check.give_values(inputs, is_whole);
    let declared = files.iter().filter_map(|read| read.file.registries.as_ref());
    let registries = check.registries(declared);
    let policies = files.iter().filter_map(|read| read.file.policy.as_ref());
    let policy = check.policy(policies);
    let names: BTreeSet<&str> = files
        .iter()
        .filter_map(|read| Some(read.file.name.as_ref()?.text.as_str()))
        .collect();
    let name = Some(names.into_iter().collect::<Vec<_>>().join(" + ")).filter(|name| !name.is_empty());
    let rules = check.rules(files);
    let has_no_rules =
        |read: &ReadFile| read.file.rules.is_none() && !read.file.origin.broken.contains(&"rules");
    if is_whole && !check.report.has_errors() && files.iter().all(has_no_rules) {
        check.report_no_rules(files);
    }
    if is_whole && !check.report.has_errors() {
        check.report_unused_variables();
    }
    let plan = Plan {
        name,
        sources: check.plan_sources(files),
        variables: check.variables.into_values(),
        registries,
        policy,
        rules,
    };
    let plan = (!check.report.has_errors()).then_some(plan);
    (plan, check.sources, check.report)
}

impl Check<'_> {
    fn rules(&mut self, files: &[ReadFile]) -> Vec<Rule> {
        let mut names: BTreeMap<&str, Span> = BTreeMap::new();
        let mut rules = Vec::new();
        for read in files {
            self.path.clone_from(&read.path);
            for file in read.file.rules.iter().flat_map(|rules| &rules.0) {
                if let Some(name) = &file.name {
                    self.check_rule_name(name);
                    if let Some(first) = names.insert(&name.text, name.span) {
                        let problem = Diagnostic::error(
                            Code::DuplicateRule,
                            format!("two rules are called {}", super::report::quoted(&name.text)),
                        );
                        let problem = problem.at(name.span, "again here").at(first, "first here");
                        self.report.push(
                            problem.help("give each its own name, since reports speak of rules by name"),
                        );
                    }
                }
                rules.extend(self.rule(file));
            }
        }
        rules
    }

    fn report_no_rules(&mut self, files: &[ReadFile]) {
        let mut problem = Diagnostic::error(
            Code::NoRules,
            "there are no rules, so that there is nothing to plan",
        );
        problem.labels = files
            .iter()
            .map(|read| Label {
                span: read.file.origin.span,
                text: String::new(),
            })
            .collect();
        self.report.push(problem.help("begin with `rules:` and a list"));
    }

    /// The plan files, then the mapping files they name.
    fn plan_sources(&self, files: &[ReadFile]) -> Vec<PlanSource> {
        let plans = files.iter().map(|read| read.file.origin.span.source);
        plans
            .chain(self.map_files.values().copied().flatten())
            .filter_map(|index| self.sources.get(index))
            .map(|source| PlanSource {
                path: source.path.clone(),
                digest: Digest::of(source.text.as_bytes()),
            })
            .collect()
    }
}
