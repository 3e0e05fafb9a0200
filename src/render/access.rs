//! Which IAM actions are allowed, registry by registry.

use serde::Serialize;

use super::text::{self, Look, counted, escape, escape_json, push};
use crate::changeset::file::FORMAT_VERSION;
use crate::registry::{Access, ActionAccess, RegistryError, Verdict};

/// The repositories that are listed for one action.
const REPOSITORIES_MAX: usize = 5;

/// Writes a table for each registry, and how many actions are missing.
pub fn access_text(registries: &[Access], look: Look) -> String {
    let mut out = String::new();
    for access in registries {
        let account = access.account.as_ref().map_or("-", |account| account.as_str());
        push(
            &mut out,
            format_args!(
                "Access to registry `{}`, {account}/{}:\n\n",
                access.registry, access.region
            ),
        );
        for action in &access.actions {
            push_action(&mut out, action, look);
        }
        for repository in &access.absent {
            push(
                &mut out,
                format_args!("  There is no repository `{repository}`, so that nothing can be told of it.\n"),
            );
        }
        out.push('\n');
    }
    let missing = registries
        .iter()
        .flat_map(|access| &access.actions)
        .filter(|action| is_missing(action));
    match missing.count() {
        0 => out.push_str("Nothing is missing, as far as reads can tell.\n"),
        count => push(
            &mut out,
            format_args!(
                "{}.\n",
                counted(count as u64, "action is missing", "actions are missing")
            ),
        ),
    }
    out
}

fn push_action(out: &mut String, action: &ActionAccess, look: Look) {
    let (word, said) = match &action.verdict {
        Verdict::Allowed => ("allowed", String::new()),
        Verdict::Denied(errors) => ("missing", place(errors)),
        Verdict::Writes => ("unknown", "cannot be told without writing".to_owned()),
        Verdict::Untried => ("unknown", "there is no repository to try it on".to_owned()),
    };
    let word = format!("{word:<8}");
    let word = if is_missing(action) {
        look.paint(text::ERROR, &word).to_string()
    } else {
        word
    };
    let name = action.operation.iam_action();
    let line = format!("  {word} {name:<26} {:<12} {said}", needed_for(action).join(", "));
    push(out, format_args!("{}\n", line.trim_end()));
    if let Verdict::Denied(errors) = &action.verdict
        && let Some(first) = errors.first()
    {
        push(out, format_args!("           {}\n", escape(first.message())));
    }
}

fn place(errors: &[RegistryError]) -> String {
    let mut places: Vec<String> = errors
        .iter()
        .take(REPOSITORIES_MAX)
        .map(|error| match error.repository() {
            Some(repository) => repository.to_string(),
            None => "* (a pattern lists all repositories)".to_owned(),
        })
        .collect();
    if errors.len() > REPOSITORIES_MAX {
        places.push(format!("{} more", errors.len() - REPOSITORIES_MAX));
    }
    format!("on {}", places.join(", "))
}

fn needed_for(action: &ActionAccess) -> Vec<&'static str> {
    let uses = [(action.is_for_plan, "plan"), (action.is_for_apply, "apply")];
    uses.into_iter()
        .filter(|(is_use, _)| *is_use)
        .map(|(_, name)| name)
        .collect()
}

fn is_missing(action: &ActionAccess) -> bool {
    matches!(action.verdict, Verdict::Denied(_))
}

#[derive(Serialize)]
struct AccessDocument {
    format_version: &'static str,
    is_missing_any: bool,
    registries: Vec<RegistryAccess>,
}

#[derive(Serialize)]
struct RegistryAccess {
    name: String,
    account: Option<String>,
    region: String,
    actions: Vec<ActionRecord>,
    absent_repositories: Vec<String>,
    errors: Vec<String>,
}

#[derive(Serialize)]
struct ActionRecord {
    action: String,
    needed_for: Vec<&'static str>,
    status: &'static str,
    /// Where it is missing; `*` for all repositories.
    repositories: Vec<String>,
    message: Option<String>,
}

/// Writes the same as one JSON object.
pub fn access_json(registries: &[Access]) -> String {
    let document = AccessDocument {
        format_version: FORMAT_VERSION,
        is_missing_any: registries
            .iter()
            .flat_map(|access| &access.actions)
            .any(is_missing),
        registries: registries.iter().map(RegistryAccess::new).collect(),
    };
    // All members are text and truth values.
    let json = serde_json::to_string_pretty(&document).unwrap_or_default();
    format!("{}\n", escape_json(&json))
}

impl RegistryAccess {
    fn new(access: &Access) -> Self {
        Self {
            name: access.registry.to_string(),
            account: access.account.as_ref().map(ToString::to_string),
            region: access.region.to_string(),
            actions: access.actions.iter().map(ActionRecord::new).collect(),
            absent_repositories: access.absent.iter().map(ToString::to_string).collect(),
            errors: access.failures.iter().map(ToString::to_string).collect(),
        }
    }
}

impl ActionRecord {
    fn new(action: &ActionAccess) -> Self {
        let (status, errors) = match &action.verdict {
            Verdict::Allowed => ("allowed", [].as_slice()),
            Verdict::Denied(errors) => ("missing", errors.as_slice()),
            Verdict::Writes | Verdict::Untried => ("unknown", [].as_slice()),
        };
        let repository = |error: &RegistryError| match error.repository() {
            Some(repository) => repository.to_string(),
            None => "*".to_owned(),
        };
        Self {
            action: action.operation.iam_action(),
            needed_for: needed_for(action),
            status,
            repositories: errors.iter().map(repository).collect(),
            message: errors.first().map(|error| error.message().to_owned()),
        }
    }
}
