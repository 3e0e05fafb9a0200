//! Retags images in Amazon ECR in bulk, without pulling an image.

pub mod apply;
pub mod changeset;
pub mod cli;
pub mod diagnostic;
pub mod event;
pub mod inventory;
pub mod model;
pub mod plan;
pub mod registry;
pub mod render;
pub mod sandbox;
pub mod yaml;
