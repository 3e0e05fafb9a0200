//! Reads what the user names on the command line: plan files, directories of them, variables, changesets.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::args::{PlanArgs, VariableArgs};
use super::{CliError, Environment};
use crate::plan::{self, Loaded, PlanInput, VariableInputs};
use crate::yaml;

/// A plan file, or a changeset: a JSON object with `format_version` is a changeset, all else a plan file.
pub(super) fn is_changeset(text: &str) -> bool {
    #[derive(serde::Deserialize)]
    struct Version {
        #[expect(dead_code, reason = "only whether it is there counts")]
        format_version: serde::de::IgnoredAny,
    }
    text.trim_start().starts_with('{') && serde_json::from_str::<Version>(text).is_ok()
}

/// Reads the plan files that were named; a directory stands for its `*.yaml` and `*.yml`, sorted.
pub(super) fn read_plans(paths: &[PathBuf]) -> Result<Vec<PlanInput>, CliError> {
    let mut inputs = Vec::new();
    for path in paths {
        if path.is_dir() {
            let files = plan_files_in(path).map_err(|source| CliError::Read {
                path: path.clone(),
                source,
            })?;
            if files.is_empty() {
                return Err(CliError::EmptyDirectory(path.clone()));
            }
            for file in files {
                inputs.push(read_input(file)?);
            }
        } else {
            inputs.push(read_input(path.clone())?);
        }
    }
    Ok(inputs)
}

fn plan_files_in(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(directory)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<io::Result<_>>()?;
    files.retain(|file| file.extension().is_some_and(|end| end == "yaml" || end == "yml") && file.is_file());
    files.sort();
    Ok(files)
}

fn read_input(path: PathBuf) -> Result<PlanInput, CliError> {
    let text = read_text(&path)?;
    Ok(PlanInput { path, text })
}

/// Reads a whole file, or standard input for `-`, as text.
pub(super) fn read_text(path: &Path) -> Result<String, CliError> {
    let read = || -> io::Result<String> {
        let mut text = String::new();
        if path == Path::new("-") {
            io::stdin().lock().read_to_string(&mut text)?;
        } else {
            text = std::fs::read_to_string(path)?;
        }
        Ok(text)
    };
    read().map_err(|source| CliError::Read {
        path: path.to_owned(),
        source,
    })
}

/// Loads plan files with the variables of the command line and the environment.
pub(super) fn load(
    inputs: Vec<PlanInput>,
    args: &VariableArgs,
    environment: &Environment,
) -> Result<Loaded, CliError> {
    let files = args
        .var_files
        .iter()
        .map(|path| Ok((path.clone(), read_text(path)?)))
        .collect::<Result<_, CliError>>()?;
    let variables = VariableInputs {
        flags: args.vars.clone(),
        files,
        environment: environment.variables.clone(),
    };
    Ok(plan::load(inputs, &variables, &read_map_file))
}

/// Reads and loads the plan files that were named.
pub(super) fn load_plans(args: &PlanArgs, environment: &Environment) -> Result<Loaded, CliError> {
    load(read_plans(&args.plans)?, &args.variables, environment)
}

fn read_map_file(path: &Path) -> io::Result<String> {
    let size = std::fs::metadata(path)?.len();
    if size > yaml::BYTES_MAX as u64 {
        return Err(io::Error::other(format!(
            "it has {size} bytes, {} are allowed",
            yaml::BYTES_MAX
        )));
    }
    std::fs::read_to_string(path)
}
