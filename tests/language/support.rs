//! Loading plans from text, without a file.

use std::io;

use ecr_retag::plan::{self, Loaded, Plan, PlanInput, VariableInputs};

/// Loads these texts as the files of one plan: `1.yaml`, `2.yaml` and so on.
pub(crate) fn load(texts: &[&str]) -> Loaded {
    let inputs = texts.iter().enumerate().map(|(number, text)| PlanInput {
        path: format!("{}.yaml", number + 1).into(),
        text: (*text).to_owned(),
    });
    let nowhere = |_: &std::path::Path| Err(io::ErrorKind::NotFound.into());
    plan::load(inputs.collect(), &VariableInputs::default(), &nowhere)
}

/// The plan of these texts; panics with what is wrong if anything is.
pub(crate) fn plan(texts: &[&str]) -> Plan {
    let loaded = load(texts);
    loaded.plan.unwrap_or_else(|| panic!("{:#?}", loaded.diagnostics))
}
