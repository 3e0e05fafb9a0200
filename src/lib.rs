//! Retags images in Amazon ECR in bulk, without pulling an image.
//!
//! One tag's way from the plan file to its `PutImage`, which is also the order in which to read the code:
//!
//! - [`yaml`] reads text into a tree that knows where everything stands,
//! - [`plan`] makes of it rules that are checked: which tags of which repositories become what,
//! - [`registry`] calls ECR, and reads an [`inventory`] of each repository that the rules speak of,
//! - [`changeset`] compares the two and decides what will be done, in which order; [`survey`] brings it the
//!   repositories one by one,
//! - [`apply`] does it, tells what happens in [`event`]s, and keeps a journal,
//! - [`render`] prints all of it; [`cli`] holds the commands, each of which gathers, calls and renders.
//!
//! [`put_image`] is another way in: the AWS CLI's command for one image.
//!
//! [`sandbox`] is an ECR inside this program: it speaks the same protocol to the same client, and keeps the same
//! rules. [`model`] has ECR's names and grammars, [`diagnostic`] what is wrong with a plan file.
//!
//! What the program promises is in `README.md`; how the rooms hang together, and what is deliberately absent from
//! each, in `ARCHITECTURE.md`.

pub mod apply;
pub mod changeset;
pub mod cli;
pub mod diagnostic;
pub mod event;
pub mod inventory;
pub mod model;
pub mod plan;
pub mod put_image;
pub mod registry;
pub mod render;
pub mod sandbox;
pub mod survey;
pub mod yaml;
