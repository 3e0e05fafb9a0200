//! What `plan` and `apply` have in common: a plan that is checked, and the changeset that it comes to.

use std::collections::BTreeSet;

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
    Ok(session.print_failures(failures))
}

impl Session {
    /// Prints what could not be read, and says whether there was such.
    pub(super) fn print_failures<'a>(
        &self,
        failures: impl IntoIterator<Item = &'a (RegistryKey, RegistryError)>,
    ) -> bool {
        // Registries with the same credentials fail in the same words.
        let mut said = BTreeSet::new();
        for (_, error) in failures {
            if said.insert(error.to_string()) {
                self.print_error(error, error.help().as_deref());
            }
        }
        !said.is_empty()
    }
}
