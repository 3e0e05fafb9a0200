//! The real SDK client, in this process and over loopback.

use aws_sdk_ecr::Client;
use aws_sdk_ecr::error::ProvideErrorMetadata;
use aws_sdk_ecr::operation::RequestId;
use aws_sdk_ecr::types::ImageIdentifier;
use ecr_retag::model::Digest;
use ecr_retag::sandbox::serve::serve;
use ecr_retag::sandbox::{Faults, Sandbox, seed};

use crate::support::{client, config, still};

/// Retags by the book: resolve, read by digest, put; then again.
async fn retag(client: &Client) {
    let details = client
        .describe_images()
        .repository_name("shop/api")
        .image_ids(ImageIdentifier::builder().image_tag("1.8.0-rc.3").build())
        .send()
        .await
        .unwrap();
    let digest = details.image_details()[0].image_digest().unwrap();
    let images = client
        .batch_get_image()
        .repository_name("shop/api")
        .image_ids(ImageIdentifier::builder().image_digest(digest).build())
        .send()
        .await
        .unwrap();
    let manifest = images.images()[0].image_manifest().unwrap();
    assert_eq!(Digest::of(manifest.as_bytes()).to_string(), digest);
    let put = client
        .put_image()
        .repository_name("shop/api")
        .image_manifest(manifest)
        .image_manifest_media_type(images.images()[0].image_manifest_media_type().unwrap())
        .image_digest(digest)
        .image_tag("1.8.0");
    let answer = put.clone().send().await.unwrap();
    assert!(answer.request_id().is_some());
    assert_eq!(
        answer.image().unwrap().image_id().unwrap().image_digest(),
        Some(digest)
    );
    let error = put.send().await.unwrap_err();
    assert_eq!(error.code(), Some("ImageAlreadyExistsException"));
    assert!(error.request_id().is_some());
    assert!(error.into_service_error().is_image_already_exists_exception());
}

#[tokio::test]
async fn retags_in_process() {
    let sandbox = Sandbox::new(seed::builtin(), Faults::none(), still());
    retag(&client(&sandbox)).await;
}

#[tokio::test]
async fn retags_over_loopback() {
    let sandbox = Sandbox::new(seed::builtin(), Faults::none(), still());
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let (ready, address) = tokio::sync::oneshot::channel();
    let server = tokio::spawn(serve(sandbox, 0, |address| ready.send(address).unwrap(), async {
        stopped.await.unwrap_or_default();
    }));
    let config = config("test", "us-east-1").endpoint_url(format!("http://{}", address.await.unwrap()));
    retag(&Client::from_conf(config.build())).await;
    stop.send(()).unwrap();
    server.await.unwrap().unwrap();
}

#[tokio::test]
async fn lists_page_by_page() {
    let sandbox = Sandbox::new(seed::builtin(), Faults::none(), still());
    let mut pages = client(&sandbox)
        .list_images()
        .repository_name("ci/gateway")
        .max_results(100)
        .into_paginator()
        .send();
    let mut tags = std::collections::BTreeSet::new();
    let mut page_count = 0;
    while let Some(page) = pages.next().await {
        page_count += 1;
        for id in page.unwrap().image_ids() {
            assert!(tags.insert(id.image_tag().unwrap().to_owned()));
        }
    }
    assert_eq!((page_count, tags.len()), (4, 321));
}
