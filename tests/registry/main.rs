//! The registry against the sandbox: the real SDK client, its signing and parsing, on time that stands still until
//! something waits.
#![expect(clippy::unwrap_used, reason = "what goes wrong in a test should end it")]

mod errors;
mod retries;
mod roles;
mod support;
mod tls;
