//! The program as a user runs it: the real binary, on the embedded registry, each time in a folder of its own.

#![expect(clippy::unwrap_used, reason = "what goes wrong in a test should end it")]

mod documents;
mod examples;
mod exits;
mod flow;
mod help;
mod looking;
mod machines;
mod support;
