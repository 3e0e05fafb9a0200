//! Retags images in Amazon ECR in bulk, without pulling an image.
pub mod model;
pub mod sandbox;
pub mod yaml;
