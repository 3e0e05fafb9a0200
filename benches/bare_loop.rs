//! Reads a registry with the SDK's calls alone and throws the answers away: what `plan` is measured against.
//!
//! Lists all repositories and all their images, 16 calls at once, with the SDK as it comes. The endpoint is the
//! argument; `docs/performance.md` has the commands.

use aws_config::BehaviorVersion;
use aws_sdk_ecr::Client;
use aws_sdk_ecr::error::SdkError;
use futures::TryStreamExt as _;

const CALLS_AT_ONCE: usize = 16;
const PAGE_SIZE: i32 = 1_000;

type Failure = Box<dyn std::error::Error>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let endpoint = std::env::args().nth(1).ok_or("usage: bare_loop ENDPOINT_URL")?;
    let config = aws_config::defaults(BehaviorVersion::latest()).endpoint_url(endpoint);
    let client = &Client::new(&Box::pin(config.load()).await);
    let repositories = client
        .describe_repositories()
        .max_results(PAGE_SIZE)
        .into_paginator()
        .items()
        .send();
    let repositories = futures::stream::unfold(repositories, async |mut repositories| {
        Some((repositories.next().await?, repositories))
    });
    let tags = repositories
        .map_err(SdkError::into_service_error)
        .map_err(Failure::from)
        .map_ok(|repository| async move {
            let mut pages = client
                .list_images()
                .set_repository_name(repository.repository_name)
                .max_results(PAGE_SIZE)
                .into_paginator()
                .send();
            let mut tags = 0;
            while let Some(page) = pages.next().await {
                tags += page?.image_ids().len();
            }
            Ok(tags)
        })
        .try_buffer_unordered(CALLS_AT_ONCE)
        .try_fold(0, async |sum, tags| Ok(sum + tags))
        .await?;
    #[expect(clippy::print_stdout, reason = "a program of its own")]
    {
        println!("{tags} tags");
    }
    Ok(())
}
