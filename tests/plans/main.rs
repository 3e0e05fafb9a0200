//! Plan files that are right, and plan files that are wrong, each with what is said about it beside it.
//!
//! A plan's first line may say what else is given: `# args: --var a=b --var-file with/x.env with/second.yaml`, paths
//! being relative to the plan. `UPDATE_EXPECT=1` writes the `.expected` files anew.

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{fs, io};

use ecr_retag::diagnostic::{Diagnostic, Sources, Span};
use ecr_retag::plan::{self, Loaded, PlanInput, VariableInputs};
use ecr_retag::yaml::{self, Node, Value};
use serde_json::json;

datatest_stable::harness! {
    { test = is_clean_and_fits_the_schema, root = "tests/plans/ok", pattern = r"^[^/]+\.yaml$" },
    { test = is_reported_as_expected, root = "tests/plans/bad", pattern = r"^[^/]+\.yaml$" },
}

fn is_clean_and_fits_the_schema(path: &Path) -> datatest_stable::Result<()> {
    let loaded = load(path)?;
    let listing = list(&loaded.sources, &loaded.diagnostics);
    if !listing.is_empty() || loaded.plan.is_none() {
        return Err(format!("the plan is not clean:\n{listing}").into());
    }
    let instance = to_json(&yaml::parse(&fs::read_to_string(path)?)?);
    jsonschema::draft202012::new(&plan::schema())?
        .validate(&instance)
        .map_err(|error| format!("{error} at {}", error.instance_path()).into())
}

fn is_reported_as_expected(path: &Path) -> datatest_stable::Result<()> {
    let loaded = load(path)?;
    let listing = list(&loaded.sources, &loaded.diagnostics);
    let expected_path = path.with_extension("expected");
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .open(&expected_path)
            .and_then(|mut file| io::Write::write_all(&mut file, listing.as_bytes()))?;
    }
    let expected = fs::read_to_string(&expected_path).unwrap_or_default();
    if listing.is_empty() {
        return Err("nothing is reported".into());
    }
    if listing == expected {
        Ok(())
    } else {
        Err(format!("expected\n{expected}\nfound\n{listing}\nUPDATE_EXPECT=1 accepts what was found").into())
    }
}

fn load(path: &Path) -> Result<Loaded, Box<dyn Error>> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let input = |path: PathBuf| -> io::Result<PlanInput> {
        let text = fs::read_to_string(&path)?;
        Ok(PlanInput { path, text })
    };
    let first = input(path.to_owned())?;
    let arguments = first
        .text
        .lines()
        .next()
        .and_then(|line| line.strip_prefix("# args: "));
    let arguments: Vec<String> = arguments
        .unwrap_or_default()
        .split_whitespace()
        .map(str::to_owned)
        .collect();
    let mut variables = VariableInputs::default();
    let mut inputs = vec![first];
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--var" => {
                let argument = arguments.next().ok_or("`--var` lacks its value")?;
                let (name, value) = argument.split_once('=').ok_or("`--var` lacks `=`")?;
                variables.flags.push((name.to_owned(), value.to_owned()));
            }
            "--var-file" => {
                let path = folder.join(arguments.next().ok_or("`--var-file` lacks its value")?);
                let text = fs::read_to_string(&path)?;
                variables.files.push((path, text));
            }
            other => inputs.push(input(folder.join(other))?),
        }
    }
    Ok(plan::load(inputs, &variables, &|path| fs::read_to_string(path)))
}

/// Every diagnostic with its places and its help, one line each.
fn list(sources: &Sources, diagnostics: &[Diagnostic]) -> String {
    const LISTED_MAX: usize = 30;
    let mut listing = String::new();
    for (number, diagnostic) in diagnostics.iter().enumerate() {
        let is_last = number + 1 == diagnostics.len();
        if number >= LISTED_MAX && !is_last {
            continue;
        }
        if number > LISTED_MAX {
            let _ = writeln!(listing, "({} more)", number - LISTED_MAX);
        }
        let (first, others) = match diagnostic.labels.split_first() {
            Some((first, others)) => (place(sources, first.span), others),
            None => (String::from("-"), &[][..]),
        };
        let (severity, code) = (diagnostic.severity.as_str(), diagnostic.code.as_str());
        let _ = writeln!(listing, "{first}: {severity}[{code}]: {}", diagnostic.message);
        if let Some(label) = diagnostic.labels.first().filter(|label| !label.text.is_empty()) {
            let _ = writeln!(listing, "  here: {}", label.text);
        }
        for label in others {
            let _ = writeln!(listing, "  {}: {}", place(sources, label.span), label.text);
        }
        if let Some(help) = &diagnostic.help {
            let _ = writeln!(listing, "  help: {help}");
        }
    }
    listing
}

/// `FILE:LINE:COLUMN` and the text that is meant.
fn place(sources: &Sources, span: Span) -> String {
    let Some((source, start, _)) = sources.locate(span) else {
        return String::from("?");
    };
    let file = Path::new(&source.path).file_name().unwrap_or_default().display();
    let text = source.text.get(span.range()).unwrap_or_default().escape_debug();
    format!("{file}:{}:{} `{text}`", start.line, start.column)
}

/// A plan file as an editor sees it: plain scalars become what YAML 1.2 makes of them.
fn to_json(node: &Node) -> serde_json::Value {
    match &node.value {
        Value::Empty => json!(null),
        Value::Scalar { text, is_plain } => {
            let parsed = serde_json::from_str::<serde_json::Value>(text).ok();
            let is_json = parsed.filter(|value| *is_plain && !value.is_string() && !value.is_null());
            is_json.unwrap_or_else(|| json!(text))
        }
        Value::Sequence(items) => items.iter().map(to_json).collect(),
        Value::Mapping(pairs) => pairs
            .iter()
            .map(|(key, value)| match &key.value {
                Value::Scalar { text, .. } => (text.clone(), to_json(value)),
                _ => (String::new(), to_json(value)),
            })
            .collect::<serde_json::Map<_, _>>()
            .into(),
    }
}
