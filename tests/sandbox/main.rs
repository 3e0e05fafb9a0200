//! The embedded ECR against the facts known about ECR, and under the real SDK client.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what goes wrong in a test should end it"
)]

mod client;
mod support;
