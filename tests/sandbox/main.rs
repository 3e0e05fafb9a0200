//! The embedded ECR against the facts known about ECR, and under the real SDK client.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "what goes wrong in a test should end it, and what is skipped should be seen"
)]

mod accounts;
mod client;
mod commands;
mod delete;
mod faults;
mod put;
mod read;
mod real;
mod repositories;
mod scale;
mod seeds;
mod store;
mod support;
mod wire;
