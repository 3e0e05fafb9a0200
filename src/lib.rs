//! Retags images in Amazon ECR in bulk, without pulling an image.

pub mod diagnostic;
pub mod inventory;
pub mod model;
pub mod plan;
pub mod registry;
pub mod sandbox;
pub mod yaml;
