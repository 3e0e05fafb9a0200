//! Calls to ECR: the way to a registry, one call of each operation, retries, paces, and the reading of inventories.
//!
//! A call goes through three layers. [`Registry::call`] is the retry loop; each of its attempts waits for a [`Turn`]
//! of the operation's [`Pace`]; the turn is spent on exactly one call, such as [`Registry::put_image`]. So no call
//! can be made that the pace does not know of.

mod access;
mod classify;
mod config;
mod context;
mod credentials;
mod ecr;
mod endpoint;
mod error;
mod observe;
mod operation;
mod pace;
mod profile;
mod read;
mod retry;
mod search;
#[cfg(test)]
mod testing;
mod tls;

pub use access::{Access, AccessQuestion, ActionAccess, Verdict, check_access};
pub use classify::classify;
pub use config::{ConnectOptions, InProcess, client, connect, connect_all, sdk_config};
pub use context::{CallContext, Observer, Retry};
pub use ecr::{
    Deleted, Failure, FailureCode, FetchedImage, FetchedImages, IDS_PER_CALL, ImageDetail, ImageId,
    ListedImage, MEDIA_TYPES, Page, Put, PutImage, Registry, RepositoryDetail,
};
pub use endpoint::Endpoint;
pub use error::{Kind, RegistryError};
pub use observe::{Observation, Questions, observe};
pub use operation::Operation;
pub use pace::{Counts, Pace, Turn};
pub use read::{Reader, Resolved};
pub use retry::{Attempted, WAIT_MAX};
pub use search::{InvalidRate, Rate};
