//! Many accounts and regions: the real binary, over loopback, with roles of the sandbox's STS.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "what goes wrong in a test should end it"
)]

mod access;
mod credentials;
mod endpoints;
#[expect(dead_code, reason = "the tests of the command line use all of it")]
#[path = "../cli/support.rs"]
mod folder;
mod loopback;
mod many;
mod messages;
mod saved;
