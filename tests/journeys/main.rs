//! Whole journeys: real tag histories, real changes, over the real client and over loopback.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "what goes wrong in a test should end it, and what is skipped should be seen"
)]

mod calls;
mod histories;
mod kinds;
mod loopback;
mod outcomes;
mod quota;
mod replay;
mod rollback;
mod support;
mod survival;
mod twice;
