//! The SDK's calls alone, 16 at once: what `plan` and `apply` are measured against.
//!
//! With the endpoint as its only argument, lists all repositories and all their images, and throws the answers away.
//! With a file of lines `REPOSITORY\tFROM\tTO` too, retags: reads the manifests, a hundred a call, and puts them, and
//! that is all. `docs/performance.md` has the commands.

use std::collections::BTreeMap;

use aws_config::BehaviorVersion;
use aws_sdk_ecr::Client;
use aws_sdk_ecr::error::SdkError;
use aws_sdk_ecr::types::ImageIdentifier;
use aws_sdk_ecr::types::builders::ImageIdentifierBuilder;
use futures::{StreamExt as _, TryStreamExt as _};

const CALLS_AT_ONCE: usize = 16;
const PAGE_SIZE: i32 = 1_000;
const IDS_PER_CALL: usize = 100;

type Failure = Box<dyn std::error::Error>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let endpoint = arguments.next().ok_or("usage: bare_loop ENDPOINT_URL [FILE]")?;
    let config = aws_config::defaults(BehaviorVersion::latest()).endpoint_url(endpoint);
    let client = Client::new(&Box::pin(config.load()).await);
    let tags = match arguments.next() {
        Some(file) => retag(&client, &std::fs::read_to_string(file)?).await?,
        None => read(&client).await?,
    };
    #[expect(clippy::print_stdout, reason = "a program of its own")]
    {
        println!("{tags} tags");
    }
    Ok(())
}

async fn read(client: &Client) -> Result<usize, Failure> {
    let repositories = client
        .describe_repositories()
        .max_results(PAGE_SIZE)
        .into_paginator()
        .items()
        .send();
    let repositories = futures::stream::unfold(repositories, async |mut repositories| {
        Some((repositories.next().await?, repositories))
    });
    repositories
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
        .await
}

async fn retag(client: &Client, file: &str) -> Result<usize, Failure> {
    let mut repositories: BTreeMap<&str, Vec<(&str, &str)>> = BTreeMap::new();
    for line in file.lines() {
        let mut fields = line.split('\t');
        let (Some(repository), Some(from), Some(to)) = (fields.next(), fields.next(), fields.next()) else {
            return Err("a line is not `REPOSITORY\\tFROM\\tTO`".into());
        };
        repositories.entry(repository).or_default().push((from, to));
    }
    let batches = repositories.iter().flat_map(|(repository, tags)| {
        let batches = tags.chunks(IDS_PER_CALL);
        batches.map(|batch| (*repository, batch))
    });
    futures::stream::iter(batches)
        .map(|(repository, batch)| manifests(client, repository, batch))
        .buffered(CALLS_AT_ONCE)
        .map_ok(|batch| futures::stream::iter(batch.into_iter().map(Ok)))
        .try_flatten()
        .map_ok(|(repository, to, manifest)| async move {
            let put = client.put_image().repository_name(repository).image_tag(to);
            put.image_manifest(manifest).send().await?;
            Ok(1)
        })
        .try_buffer_unordered(CALLS_AT_ONCE)
        .try_fold(0, async |sum, tag| Ok(sum + tag))
        .await
}

/// The tags to write, with the manifests of those they are copied from.
async fn manifests<'a>(
    client: &Client,
    repository: &'a str,
    batch: &[(&str, &'a str)],
) -> Result<Vec<(&'a str, &'a str, String)>, Failure> {
    let ids = batch
        .iter()
        .map(|(from, _)| ImageIdentifier::builder().image_tag(*from));
    let ids = ids.map(ImageIdentifierBuilder::build).collect();
    let call = client
        .batch_get_image()
        .repository_name(repository)
        .set_image_ids(Some(ids));
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    for image in call.send().await?.images.unwrap_or_default() {
        let tag = image.image_id.and_then(|id| id.image_tag);
        found.extend(tag.zip(image.image_manifest));
    }
    let rows = batch.iter().map(|(from, to)| {
        let manifest = found
            .get(*from)
            .ok_or_else(|| format!("{repository} has no {from}"))?;
        Ok((repository, *to, manifest.clone()))
    });
    rows.collect()
}
