//! `put-image`: the AWS CLI's `aws ecr put-image`, option by option.
//!
//! One invocation's way, which is also the order in which to read the code. [`Source`] turns option values into text,
//! following `file://`; [`Parameters`] merges options and `--cli-input-json`, and becomes a [`Request`] once ECR's API
//! model accepts it; [`Caller`] sends that and gives ECR's answer as JSON; a [`Query`] picks from it; [`render`] prints
//! what is left as the AWS CLI prints it. All but [`Caller`], [`Profile`] and the reading of files is pure.
//!
//! Where the AWS CLI's versions differ, this is version 2. What it does was read in its source (Apache-2.0) and
//! compared with its output; `tests/interop` keeps comparing.

mod answer;
mod call;
mod error;
mod output;
mod parameters;
mod plain;
mod profile;
mod python;
mod query;
mod skeleton;
mod source;
mod watch;

pub use call::Caller;
pub use error::{PutImageError, ServiceError};
pub use output::{OutputFormat, TableLook, render};
pub use parameters::{Input, MEMBERS, Member, Parameters, Request};
pub use profile::Profile;
pub use query::Query;
pub use skeleton::{
    Skeleton, input as input_skeleton, output as sample_answer, yaml_input as yaml_input_skeleton,
};
pub use source::{Source, Text};
pub use watch::Watch;
