//! The plan language as a whole: its schema, its list of diagnostics, what it makes of real tag histories, and of
//! input that nobody should have written.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::panic,
    reason = "what goes wrong in a test should end it"
)]

mod documents;
mod fuzz;
mod histories;
mod merging;
mod support;
