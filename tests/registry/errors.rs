use std::time::Duration;

use ecr_retag::registry::{Kind, Operation};
use ecr_retag::sandbox::fault::{Action, Throttle, ThrottleShape};

use crate::support::{World, list_once, on};

async fn kind_of(action: Action) -> (Kind, String) {
    let world = World::new();
    world.fault(on(Operation::ListImages), action);
    let error = list_once(&world.registry().await).await.unwrap_err();
    assert_eq!(error.repository().map(AsRef::as_ref), Some("shop/api"));
    (error.kind(), error.to_string())
}

fn error(status: u16, code: &str) -> Action {
    Action::Error {
        status,
        code: code.to_owned(),
        message: "said the server".to_owned(),
    }
}

#[tokio::test(start_paused = true)]
async fn codes_and_statuses_decide_what_is_done() {
    for (status, code, kind) in [
        (400, "ThrottlingException", Kind::Throttled),
        (400, "ThrottleException", Kind::Throttled),
        (400, "TooManyRequestsException", Kind::Throttled),
        (400, "RequestLimitExceeded", Kind::Throttled),
        (503, "SlowDown", Kind::Throttled),
        (429, "WhateverException", Kind::Throttled),
        (400, "LimitExceededException", Kind::Quota),
        (500, "ServerException", Kind::Transient),
        (400, "ServerException", Kind::Transient),
        (502, "WhateverException", Kind::Transient),
        (400, "RequestTimeoutException", Kind::Transient),
        (400, "AccessDeniedException", Kind::Denied),
        (403, "WhateverException", Kind::Denied),
        (400, "ExpiredTokenException", Kind::Expired),
        (400, "UnrecognizedClientException", Kind::Configuration),
        (403, "InvalidSignatureException", Kind::Configuration),
        (400, "RepositoryNotFoundException", Kind::RepositoryNotFound),
        (400, "ImageNotFoundException", Kind::ImageNotFound),
        (400, "ImageAlreadyExistsException", Kind::AlreadyExists),
        (400, "ImageTagAlreadyExistsException", Kind::TagImmutable),
        (400, "ImageDigestDoesNotMatchException", Kind::DigestMismatch),
        (400, "LayersNotFoundException", Kind::LayersMissing),
        (400, "ReferencedImagesNotFoundException", Kind::LayersMissing),
        (400, "UnableToGetUpstreamImageException", Kind::ImageUnavailable),
        (400, "InvalidParameterException", Kind::Invalid),
        (400, "NewException", Kind::Invalid),
    ] {
        let (found, text) = kind_of(error(status, code)).await;
        assert_eq!(found, kind, "{status} {code}: {text}");
        assert!(text.contains(code) && text.contains("said the server"), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn throttles_are_known_in_every_shape() {
    for shape in ThrottleShape::ALL {
        let throttle = Action::Throttle(Throttle {
            shape,
            ..Throttle::default()
        });
        let kind = match shape {
            ThrottleShape::Bare503 => Kind::Transient,
            _ => Kind::Throttled,
        };
        assert_eq!(kind_of(throttle).await.0, kind, "{shape:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn answers_that_get_lost_or_garbled_are_tried_again() {
    for action in [
        Action::DropBefore,
        Action::DropAfter,
        Action::Truncate,
        Action::Garbage,
        Action::Unavailable,
        Action::Slow {
            ms: 60_000,
            after_effect: true,
        },
    ] {
        let (kind, text) = kind_of(action.clone()).await;
        assert_eq!(kind, Kind::Transient, "{action:?}: {text}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_answer_is_awaited_as_long_as_was_said() {
    let mut world = World::new();
    world.options.read_timeout = Duration::ZERO;
    world.fault(
        on(Operation::ListImages),
        Action::Slow {
            ms: 600_000,
            after_effect: true,
        },
    );
    list_once(&world.registry().await).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn messages_say_where_and_what_to_do() {
    let world = World::new();
    world.fault(on(Operation::ListImages), Action::Deny);
    let registry = world.registry().await;
    let error = list_once(&registry).await.unwrap_err();
    let text = error.to_string();
    assert!(
        text.starts_with("access denied in ListImages of `shop/api`: User: "),
        "{text}"
    );
    assert!(text.contains("(AccessDeniedException, request id "), "{text}");
    assert_eq!(
        error.help().unwrap(),
        "the credentials need `ecr:ListImages` on the repository `shop/api`"
    );
}
