//! What `plan` and `apply` have in common: a plan that is checked, and the changeset that it comes to.

use super::args::{OutputArgs, ScopeArgs};
use super::connect::Connections;
use super::{CliError, Session};
use crate::changeset::{Changeset, Scope};
use crate::diagnostic::{self, Diagnostic, Severity, Sources};
use crate::inventory::Inventory;
use crate::model::{Address, RegistryKey};
use crate::plan::{Loaded, Plan};
use crate::registry::{CallContext, RegistryError};
use crate::render::Progress;
use crate::survey::{self, Survey, Surveyed};

/// A changeset, and what it was gathered from.
pub(super) struct Planned {
    pub(super) changeset: Changeset,
    /// Registries, or repositories of them, that could not be read.
    pub(super) failures: Vec<(RegistryKey, RegistryError)>,
}

impl Planned {
    /// Whether anything forbids to save or apply the changeset.
    pub(super) fn has_errors(&self) -> bool {
        self.changeset.is_incomplete || self.has(Severity::Error)
    }

    /// Whether a policy or an expectation forbids to save or apply the changeset.
    pub(super) fn has_refusals(&self) -> bool {
        self.has(Severity::Refusal)
    }

    fn has(&self, severity: Severity) -> bool {
        self.changeset
            .diagnostics
            .iter()
            .any(|diagnostic| diagnostic.severity == severity)
    }
}

/// A plan without errors, and what there is to warn of.
pub(super) struct Checked {
    pub(super) plan: Plan,
    pub(super) sources: Sources,
    pub(super) warnings: Vec<Diagnostic>,
}

impl Session {
    /// Takes the plan out of what was loaded; if there is none, prints everything that is wrong with it.
    pub(super) fn checked(&self, loaded: Loaded) -> Option<Checked> {
        let Loaded {
            plan,
            sources,
            diagnostics,
        } = loaded;
        if plan.is_none() {
            self.print_diagnostics(&diagnostics, &sources);
        }
        Some(Checked {
            plan: plan?,
            sources,
            warnings: diagnostics,
        })
    }
}

/// Reads the registries and plans, and shows how far that is.
pub(super) async fn plan(
    session: &Session,
    checked: &Checked,
    connections: &Connections,
    context: &CallContext,
    args: (&ScopeArgs, &OutputArgs),
) -> Result<Planned, CliError> {
    let (scope_args, output) = args;
    let scope = Scope::new(
        &scope_args.targets,
        &scope_args.excludes,
        checked.plan.registries.len() > 1,
    )?;
    let progress = Progress::new();
    let survey = Survey {
        registries: &connections.registries,
        scope: &scope,
        context,
        events: &progress.events(),
        now: session.environment.now(),
        keeps_unchanged: output.full,
    };
    let work = survey::survey(&checked.plan, survey);
    let Surveyed {
        mut changeset,
        failures,
    } = progress.during(&session.printer, work).await;
    context.check()?;
    changeset.is_incomplete &= !scope_args.allow_partial;
    changeset.diagnostics.extend(checked.warnings.iter().cloned());
    diagnostic::sort(&mut changeset.diagnostics);
    let failures = connections.failures.iter().cloned().chain(failures).collect();
    Ok(Planned { changeset, failures })
}

/// Reads the repositories that a plan speaks of, or that of one address, and hands on each as it arrives; prints what could not
/// be read, and says whether there was such.
pub(super) async fn visit(
    session: &Session,
    plan: &Plan,
    connections: &Connections,
    context: &CallContext,
    only: Option<&Address>,
    arrived: impl FnMut(&RegistryKey, Inventory),
) -> Result<bool, CliError> {
    let progress = Progress::new();
    let survey = Survey {
        registries: &connections.registries,
        scope: &Scope::default(),
        context,
        events: &progress.events(),
        now: session.environment.now(),
        keeps_unchanged: true,
    };
    let work = survey::visit(plan, survey, only, arrived);
    let failures = progress.during(&session.printer, work).await;
    context.check()?;
    let failures = connections.failures.iter().chain(&failures);
    Ok(session.print_failures(failures, plan.registries.len() > 1))
}

/// What a plan with several registries says of those that fail in the same words.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {error}")]
struct InRegistries {
    place: String,
    #[source]
    error: RegistryError,
}

impl InRegistries {
    const NAMED_MAX: usize = 5;

    fn new(keys: &[&RegistryKey], error: &RegistryError) -> Self {
        let mut names: Vec<String> = keys
            .iter()
            .take(Self::NAMED_MAX)
            .map(|key| format!("`{key}`"))
            .collect();
        if keys.len() > Self::NAMED_MAX {
            names.push(format!("{} more", keys.len() - Self::NAMED_MAX));
        }
        let place = match names.split_last() {
            Some((last, others)) if !others.is_empty() => {
                format!("registries {} and {last}", others.join(", "))
            }
            _ => format!("registry {}", names.concat()),
        };
        Self {
            place,
            error: error.clone(),
        }
    }
}

impl Session {
    /// Prints what could not be read, and says whether there was such; `is_qualified` names the registries.
    pub(super) fn print_failures<'a>(
        &self,
        failures: impl IntoIterator<Item = &'a (RegistryKey, RegistryError)>,
        is_qualified: bool,
    ) -> bool {
        // Registries with the same credentials fail in the same words.
        let mut said: Vec<(String, Vec<&RegistryKey>, &RegistryError)> = Vec::new();
        for (key, error) in failures {
            let text = error.to_string();
            match said.iter_mut().find(|(earlier, ..)| *earlier == text) {
                Some((_, keys, _)) if keys.contains(&key) => {}
                Some((_, keys, _)) => keys.push(key),
                None => said.push((text, vec![key], error)),
            }
        }
        for (_, keys, error) in &said {
            let help = error.help();
            if is_qualified {
                self.print_error(&InRegistries::new(keys, error), help.as_deref());
            } else {
                self.print_error(error, help.as_deref());
            }
        }
        !said.is_empty()
    }
}
