//! What surrounds the process: read here, once, and passed on.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use crate::apply::journal::Clock;
use crate::render;

/// What surrounds the process, as far as it has a say.
#[derive(Clone)]
pub struct Environment {
    /// The environment variables that are text.
    pub variables: BTreeMap<String, String>,
    /// What standard output and error are.
    pub streams: render::Environment,
    /// Whether somebody can type an answer.
    pub stdin_is_terminal: bool,
    /// Tells the time.
    pub clock: Clock,
    /// Decides the random part of waits.
    pub seed: u64,
}

impl Environment {
    /// What surrounds this process.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that reads environment and clock"
    )]
    pub fn of_process() -> Self {
        use std::io::IsTerminal as _;
        let variables: BTreeMap<String, String> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let variable = |name: &str| variables.get(name).cloned();
        let streams = render::Environment {
            no_color: variable("NO_COLOR"),
            clicolor_force: variable("CLICOLOR_FORCE"),
            force_color: variable("FORCE_COLOR"),
            term: variable("TERM"),
            ..render::Environment::of_streams()
        };
        Self {
            streams,
            stdin_is_terminal: std::io::stdin().is_terminal(),
            clock: Arc::new(Timestamp::now),
            seed: fastrand::u64(..),
            variables,
        }
    }

    /// A variable, unless it is unset or empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        (self.clock)()
    }
}
