//! The plan language as a whole: its schema, its list of diagnostics, what it makes of real tag histories, and of
//! input that nobody should have written.

mod documents;
mod fuzz;
mod histories;
mod merging;
mod support;
