//! `match`: which tags each rule takes, what they become, and why it leaves out the others.

use std::path::{Path, PathBuf};

use clap::{Args, ValueHint};

use super::args::{ConnectionArgs, PlanArgs};
use super::interrupt::Interrupt;
use super::planning::{self, Checked};
use super::{CliError, Exit, Session, connect, input, tags_file};
use crate::changeset::{RuleMatch, match_rule};
use crate::diagnostic::{Diagnostic, Severity};
use crate::inventory::Inventory;
use crate::model::{RegistryKey, RepositoryName};
use crate::plan::Rule;
use crate::registry::{CallContext, Rate};
use crate::render::{self, MatchView};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ecr-retag match plans/commit-tags.yaml --sandbox
  ecr-retag match cut.yaml --full --json | jq '.matches[].left_out'
  git tag | ecr-retag match cut.yaml --tags-file -")]
pub(super) struct MatchArgs {
    #[command(flatten)]
    plan: PlanArgs,
    /// Try the rules on the tags of this file: TAG, or TAG<TAB>DIGEST-OR-COMMIT<TAB>PUSH-TIME, a line
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "sandbox", help_heading = "Tags")]
    tags_file: Option<PathBuf>,
    /// The repository that --tags-file stands for; each rule's own if absent
    #[arg(long, value_name = "NAME", requires = "tags_file", help_heading = "Tags")]
    repository: Option<RepositoryName>,
    /// Print JSON
    #[arg(long, help_heading = "Output")]
    json: bool,
    /// List every tag
    #[arg(long, help_heading = "Output")]
    full: bool,
    #[command(flatten)]
    connection: ConnectionArgs,
}

pub(super) async fn run(session: &Session, args: &MatchArgs) -> Result<Exit, CliError> {
    let interrupt = Interrupt::default();
    interrupt.run(match_plan(session, args, &interrupt)).await
}

async fn match_plan(session: &Session, args: &MatchArgs, interrupt: &Interrupt) -> Result<Exit, CliError> {
    let loaded = input::load_plans(&args.plan, &session.environment)?;
    let Some(checked) = session.checked(loaded) else {
        return Ok(Exit::Error);
    };
    session.print_diagnostics(&checked.warnings, &checked.sources);
    let (matches, has_failed) = match &args.tags_file {
        Some(path) => (match_offline(session, args, &checked, path)?, false),
        None => match_live(session, args, &checked, interrupt).await?,
    };
    let problems: Vec<Diagnostic> = matches.iter().flat_map(|found| found.problems.clone()).collect();
    session.print_diagnostics(&problems, &checked.sources);
    if args.json {
        session.print(&render::matches_json(&matches, &checked.sources))?;
    } else {
        let view = MatchView {
            look: session.printer.out_look(),
            is_full: args.full,
            is_qualified: checked.plan.registries.len() > 1,
        };
        let texts: Vec<String> = matches
            .iter()
            .map(|found| render::match_text(found, &view))
            .collect();
        session.print(&texts.join("\n"))?;
    }
    let is_error = |problem: &Diagnostic| problem.severity != Severity::Warning;
    Ok(if has_failed || problems.iter().any(is_error) {
        Exit::Error
    } else {
        Exit::Done
    })
}

/// Tries each rule on the tags of a file.
fn match_offline(
    session: &Session,
    args: &MatchArgs,
    checked: &Checked,
    path: &Path,
) -> Result<Vec<RuleMatch>, CliError> {
    let text = input::read_text(path)?;
    let now = session.environment.now();
    let mut matches = Vec::new();
    for rule in &checked.plan.rules {
        let repository = match &args.repository {
            Some(name) if rule.repositories.matches(name) => name.clone(),
            Some(_) => continue,
            None => stand_in(rule)?,
        };
        let inventory: Inventory = tags_file::parse(&text, repository)
            .map_err(|error| CliError::other(format!("`{}`: {error}", path.display()), TAGS_FILE_HELP))?;
        matches.extend(
            rule.registries
                .iter()
                .take(1)
                .map(|registry| match_rule(rule, registry, &inventory, now)),
        );
    }
    if matches.is_empty() {
        let names = args
            .repository
            .iter()
            .map(ToString::to_string)
            .collect::<String>();
        return Err(CliError::other(
            format!("no rule applies to `{names}`"),
            "give `--repository` another name, or none",
        ));
    }
    Ok(matches)
}

const TAGS_FILE_HELP: &str =
    "each line is a tag, then perhaps a TAB and a digest or commit, then perhaps a TAB and a time";

/// A name for the repository of a rule: the first that is written out, else one that no pattern has to match.
fn stand_in(rule: &Rule) -> Result<RepositoryName, CliError> {
    let first = rule.repositories.exact().next().map(|(name, _)| name.clone());
    match first {
        Some(name) => Ok(name),
        None => "any/repository"
            .parse()
            .map_err(|error: crate::model::InvalidName| {
                CliError::other(error.to_string(), "use `--repository`")
            }),
    }
}

/// Tries each rule on the repositories that it applies to; whether some could not be read.
async fn match_live(
    session: &Session,
    args: &MatchArgs,
    checked: &Checked,
    interrupt: &Interrupt,
) -> Result<(Vec<RuleMatch>, bool), CliError> {
    let registries = &checked.plan.registries;
    let connections =
        connect::connect(registries, &args.connection, Rate::Auto, &session.environment).await?;
    let context = CallContext::new(session.environment.seed).with_cancel(interrupt.token().clone());
    let now = session.environment.now();
    let mut matches = Vec::new();
    let arrived = |key: &RegistryKey, inventory: Inventory| {
        let rules = checked.plan.rules.iter();
        let applying = rules.filter(|rule| rule.applies_to(key, &inventory.repository));
        matches.extend(applying.map(|rule| match_rule(rule, key, &inventory, now)));
    };
    let has_failed = planning::visit(session, &checked.plan, &connections, &context, None, arrived).await?;
    connections.close()?;
    // Repositories arrive in any order.
    let rule_at = |name: &str| checked.plan.rules.iter().position(|rule| rule.name == name);
    matches.sort_by_cached_key(|found| {
        let place = (found.registry.clone(), found.repository.clone());
        (rule_at(&found.rule), place)
    });
    Ok((matches, has_failed))
}
