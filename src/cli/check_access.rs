//! `plan --check-access`: which IAM actions the credentials lack.

use futures::future::join_all;

use super::args::{Format, OutputArgs};
use super::connect::Connections;
use super::planning::Checked;
use super::{CliError, Exit, Session};
use crate::model::RegistryKey;
use crate::registry::{AccessQuestion, CallContext, Reader, Registry, RegistryError, Verdict, check_access};
use crate::render;

/// Tries every action in all registries at once; ends with an error if any is missing.
pub(super) async fn run(
    session: &Session,
    checked: &Checked,
    connections: &Connections,
    context: &CallContext,
    output: &OutputArgs,
) -> Result<Exit, CliError> {
    let plan = &checked.plan;
    let checks = connections
        .registries
        .iter()
        .map(|(key, registry): (&RegistryKey, &Registry)| async move {
            let repositories = plan.repositories(key);
            let question = AccessQuestion {
                repositories: &repositories,
                reads: &|repository| plan.reads(key, repository),
                removes: plan
                    .rules
                    .iter()
                    .any(|rule| rule.remove_source && rule.applies_in(key)),
            };
            check_access(&Reader::new(registry, context), question).await
        });
    let registries = join_all(checks).await;
    context.check()?;
    let failures: Vec<(RegistryKey, RegistryError)> = registries
        .iter()
        .flat_map(|access| {
            access
                .failures
                .iter()
                .map(|error| (access.registry.clone(), error.clone()))
        })
        .collect();
    let failures = connections.failures.iter().chain(&failures);
    let has_failed = session.print_failures(failures, plan.registries.len() > 1);
    let text = match output.format() {
        Format::Json => render::access_json(&registries),
        _ => render::access_text(&registries, session.printer.out_look()),
    };
    session.print(&text)?;
    let actions = || registries.iter().flat_map(|access| &access.actions);
    let is_denied = actions().any(|action| matches!(action.verdict, Verdict::Denied(_)));
    Ok(if has_failed || is_denied {
        Exit::Error
    } else {
        Exit::Done
    })
}
