//! What goes wrong, and how it looks to the real client; and the quotas.

use std::time::Duration;

use aws_sdk_ecr::Client;
use aws_sdk_ecr::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_ecr::operation::list_images::ListImagesError;
use ecr_retag::sandbox::fault::{Action, FaultPlan, ThrottleShape};
use ecr_retag::sandbox::{Faults, Quota, Quotas, Sandbox};
use tokio::time::Instant;

use crate::support::*;

async fn list(client: &Client) -> Result<usize, SdkError<ListImagesError>> {
    let answer = client.list_images().repository_name("shop/api").send().await?;
    Ok(answer.image_ids().len())
}

/// Puts `tag` on the image of `stable`.
async fn put_stable(sandbox: &Sandbox, client: &Client, tag: &str) -> Result<(), String> {
    let image = sandbox.with_state(|state| tagged(state, "stable").clone());
    let put = client
        .put_image()
        .repository_name("shop/api")
        .image_manifest(&*image.manifest)
        .image_tag(tag);
    match put.send().await {
        Ok(_) => Ok(()),
        Err(error) => Err(match &error {
            SdkError::DispatchFailure(failure) if failure.is_io() => "io".to_owned(),
            SdkError::DispatchFailure(failure) if failure.is_timeout() => "timeout".to_owned(),
            SdkError::ResponseError(_) => "response".to_owned(),
            _ => error.code().unwrap_or("?").to_owned(),
        }),
    }
}

#[tokio::test]
async fn throttles_come_in_each_shape() {
    for shape in ThrottleShape::ALL {
        let (status, code) = shape.status_and_code();
        let shape_text = serde_json::to_value(shape).unwrap();
        let plan = format!(
            "rules: [{{ action: {{ throttle: {{ shape: {}, retry_after_seconds: 3, retry_after_ms: 250 }} }} }}]",
            shape_text.as_str().unwrap()
        );
        let error = list(&client(&faulty(SMALL, &plan))).await.unwrap_err();
        assert_eq!(error.code(), code, "{shape:?}");
        let response = error.raw_response().unwrap();
        assert_eq!(response.status().as_u16(), status);
        assert_eq!(response.headers().get("retry-after"), Some("3"));
        assert_eq!(response.headers().get("x-amz-retry-after"), Some("250"));
        assert_eq!(response.body().bytes().unwrap().is_empty(), code.is_none());
    }
}

#[tokio::test]
async fn answers_can_be_errors() {
    for (action, status, code) in [
        ("server-error", 500, Some("ServerException")),
        ("unavailable", 503, None),
        ("deny", 400, Some("AccessDeniedException")),
        (
            "{ error: { status: 400, code: KmsException, message: no } }",
            400,
            Some("KmsException"),
        ),
        ("expire-credentials", 400, Some("ExpiredTokenException")),
    ] {
        let plan = format!("rules: [{{ action: {action} }}]");
        let error = list(&client(&faulty(SMALL, &plan))).await.unwrap_err();
        assert_eq!(error.code(), code, "{action}");
        assert_eq!(error.raw_response().unwrap().status().as_u16(), status);
    }
}

#[tokio::test]
async fn connections_break_before_and_after_the_effect() {
    for (action, error, took_effect) in [
        ("drop-before", "io", false),
        ("drop-after", "io", true),
        ("truncate", "response", true),
        // The client takes what it can not read for an error of the service without a code.
        ("garbage", "?", true),
    ] {
        let plan = format!("rules: [{{ match: {{ operation: PutImage }}, times: 1, action: {action} }}]");
        let sandbox = faulty(SMALL, &plan);
        let client = client(&sandbox);
        let put = put_stable(&sandbox, &client, "new").await;
        assert_eq!(put.unwrap_err(), error, "{action}");
        assert_eq!(
            sandbox.with_state(|state| tags(state).contains_key("new")),
            took_effect
        );
        let again = put_stable(&sandbox, &client, "new").await;
        assert_eq!(again.is_err(), took_effect, "{action} {again:?}");
        assert_eq!(sandbox.calls()[0].took_effect, took_effect);
    }
}

#[tokio::test]
async fn a_reformatted_manifest_has_another_digest() {
    let sandbox = faulty(SMALL, "rules: [{ times: 1, action: reformat }]");
    let client = client(&sandbox);
    let stored = sandbox.with_state(|state| tagged(state, "stable").manifest.to_string());
    for expected in [format!("{stored}\n"), stored] {
        let id = aws_sdk_ecr::types::ImageIdentifier::builder()
            .image_tag("stable")
            .build();
        let answer = client
            .batch_get_image()
            .repository_name("shop/api")
            .image_ids(id)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.images()[0].image_manifest().unwrap(), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn slow_answers_take_their_time() {
    let plan = "rules:
      - { match: { nth: 1 }, action: { slow: { ms: 700 } } }
      - { match: { nth: 2 }, action: { slow: { ms: 900, after_effect: true } } }";
    let sandbox = faulty(SMALL, plan);
    let client = client(&sandbox);
    for expected_ms in [700, 900, 0] {
        let start = Instant::now();
        list(&client).await.unwrap();
        assert_eq!(start.elapsed(), Duration::from_millis(expected_ms));
    }
    sandbox.set_latency(Duration::from_millis(60));
    let start = Instant::now();
    list(&client).await.unwrap();
    assert_eq!(start.elapsed(), Duration::from_millis(60));
}

#[tokio::test(start_paused = true)]
async fn a_call_takes_effect_after_the_client_gave_up() {
    use aws_sdk_ecr::config::timeout::TimeoutConfig;
    for is_after in [false, true] {
        let plan = format!("rules: [{{ action: {{ slow: {{ ms: 5000, after_effect: {is_after} }} }} }}]");
        let sandbox = faulty(SMALL, &plan);
        let timeouts = TimeoutConfig::builder()
            .read_timeout(Duration::from_secs(1))
            .build();
        let config = config("test", "us-east-1")
            .timeout_config(timeouts)
            .http_client(sandbox.http_client());
        let put = put_stable(&sandbox, &Client::from_conf(config.build()), "new").await;
        assert_eq!(put.unwrap_err(), "timeout");
        let has_landed = || sandbox.with_state(|state| tags(state).contains_key("new"));
        assert_eq!(has_landed(), is_after);
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert!(has_landed());
    }
}

#[tokio::test]
async fn rules_choose_calls() {
    // Which of ten calls the rule applies to.
    for (rule, expected) in [
        ("{ nth: 3 }", vec![3]),
        ("{ from: 8 }", vec![8, 9, 10]),
        ("{ every: 4 }", vec![4, 8]),
        ("{ repository: 'shop/*', every: 5 }", vec![5, 10]),
        ("{ repository: 'web/*' }", vec![]),
        ("{ operation: PutImage }", vec![]),
        ("{ account: '123456789012', nth: 1 }", vec![1]),
        ("{ account: '111111111111' }", vec![]),
        ("{ region: eu-west-1 }", vec![]),
        ("{ tag: x }", vec![]),
        ("{ probability: 0 }", vec![]),
        ("{ probability: 1, nth: 2 }", vec![2]),
        ("{ after_ms: 300, until_ms: 500 }", vec![4, 5]),
    ] {
        let plan = format!("rules: [{{ match: {rule}, action: deny }}]");
        assert_eq!(denied(&plan).await, expected, "{rule}");
    }
    let plan = "rules: [{ match: { from: 3 }, times: 2, action: deny }]";
    assert_eq!(denied(plan).await, [3, 4]);
}

/// Which of ten calls, each 100 ms after the one before, are denied.
async fn denied(plan: &str) -> Vec<usize> {
    let time = std::sync::Arc::new(std::sync::atomic::AtomicI64::new(0));
    let ticking = std::sync::Arc::clone(&time);
    let clock: ecr_retag::sandbox::Clock = std::sync::Arc::new(move || {
        now() + jiff::SignedDuration::from_millis(ticking.load(std::sync::atomic::Ordering::Relaxed))
    });
    let faults = Faults::new(FaultPlan::parse(plan).unwrap());
    let client = client(&Sandbox::new(planted(SMALL), faults, clock));
    let mut denied = Vec::new();
    for call in 1..=10 {
        if list(&client).await.is_err() {
            denied.push(call);
        }
        time.fetch_add(100, std::sync::atomic::Ordering::Relaxed);
    }
    denied
}

#[tokio::test]
async fn chance_comes_from_the_seed() {
    let plan =
        |seed: u64| format!("seed: {seed}\nrules: [{{ match: {{ probability: 0.5 }}, action: deny }}]");
    let one = denied(&plan(1)).await;
    assert_eq!(denied(&plan(1)).await, one);
    let mut others = Vec::new();
    for seed in 2..8 {
        others.push(denied(&plan(seed)).await);
    }
    assert!(others.iter().any(|other| *other != one), "{others:?}");
}

#[tokio::test]
async fn another_writer_writes_between_two_calls() {
    let yaml = "
repositories:
  - names: [shop/api]
    tags: { stable: one, other: two, '1.10': three }
";
    for (writer, check) in [
        ("{ tag: stable, move_to: { tag: '1.10' } }", "1.10"),
        ("{ tag: fresh, move_to: { tag: other } }", "other"),
        ("{ tag: stable, move_to: gone }", "-"),
    ] {
        let plan = format!("rules: [{{ match: {{ nth: 2 }}, action: {{ writer: {writer} }} }}]");
        let sandbox = faulty(yaml, &plan);
        let client = client(&sandbox);
        let before = sandbox.with_state(tags);
        list(&client).await.unwrap();
        assert_eq!(sandbox.with_state(tags), before);
        list(&client).await.unwrap();
        let after = sandbox.with_state(tags);
        let written = if writer.contains("fresh") {
            "fresh"
        } else {
            "stable"
        };
        assert_eq!(after.get(written), before.get(check), "{writer}");
        let calls = sandbox.calls();
        assert_eq!(calls.len(), 3);
        assert!(calls[1].is_other_writer && calls[1].took_effect, "{:?}", calls[1]);
        assert_eq!(calls[1].tags, [written]);
    }
}

#[tokio::test]
async fn another_writer_may_choose_by_chance() {
    let yaml = "
repositories:
  - names: [shop/api]
    histories: [{ scheme: { numbered: { name: 'b{n}', from: 1, count: 20 } } }]
";
    let plan = "seed: 5\nrules: [{ action: { writer: { move_to: random } } }]";
    let mut ends = Vec::new();
    for _ in 0..2 {
        let sandbox = faulty(yaml, plan);
        let client = client(&sandbox);
        for _ in 0..20 {
            list(&client).await.unwrap();
        }
        ends.push(sandbox.with_state(tags));
    }
    assert_ne!(ends[0], tags(&planted(yaml)));
    assert_eq!(ends[0], ends[1]);
}

#[tokio::test]
async fn expired_credentials_stay_expired_and_others_work() {
    let sandbox = faulty(
        SMALL,
        "rules: [{ match: { nth: 2 }, action: expire-credentials }]",
    );
    let old = client_as(&sandbox, "AKIAOLD", "us-east-1");
    list(&old).await.unwrap();
    for _ in 0..3 {
        let error = list(&old).await.unwrap_err();
        assert_eq!(error.code(), Some("ExpiredTokenException"));
    }
    list(&client_as(&sandbox, "AKIANEW", "us-east-1")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn ten_puts_a_second_then_throttled() {
    let sandbox = Sandbox::new(planted(SMALL), Faults::none(), clock());
    let client = client(&sandbox);
    let mut throttled = 0;
    for n in 0..15 {
        let put = put_stable(&sandbox, &client, &format!("t{n}")).await;
        if let Err(code) = put {
            assert_eq!(code, "ThrottlingException");
            throttled += 1;
        }
    }
    assert_eq!(throttled, 5);
    tokio::time::sleep(Duration::from_millis(100)).await;
    put_stable(&sandbox, &client, "t100").await.unwrap();
    put_stable(&sandbox, &client, "t101").await.unwrap_err();
    for _ in 0..50 {
        list(&client).await.unwrap();
    }
    sandbox.set_quota(Quota::new("ListImages", Some(1.0)));
    list(&client).await.unwrap();
    assert_eq!(
        list(&client).await.unwrap_err().code(),
        Some("ThrottlingException")
    );
    sandbox.set_quotas(Quotas::none());
    list(&client).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_quota_can_change_while_running() {
    let plan = "
rules:
  - match: { operation: ListImages, nth: 2 }
    action: { quota: { operation: PutImage, per_second: 2 } }
";
    let sandbox = faulty(SMALL, plan);
    let client = client(&sandbox);
    let mut admitted = [0, 0];
    for half in &mut admitted {
        list(&client).await.unwrap();
        tokio::time::sleep(Duration::from_secs(10)).await;
        for n in 0..12 {
            let tag = format!("t{}", n + sandbox.calls().len());
            *half += usize::from(put_stable(&sandbox, &client, &tag).await.is_ok());
        }
    }
    assert_eq!(admitted, [10, 2]);
}

#[test]
fn the_documented_plan_is_one() {
    let plan = FaultPlan::parse(&documented(include_str!("../../src/sandbox/fault.rs"))).unwrap();
    assert_eq!(plan.rules.len(), 4);
}

#[test]
fn a_plan_with_a_mistake_is_refused() {
    for bad in [
        "rules: [{ action: explode }]",
        "rules: [{ match: { operation: PutImage } }]",
        "rules: [{ match: { opration: PutImage }, action: deny }]",
        "rules: [{ action: { slow: { ms: -1 } } }]",
        "rules: [{ action: { throttle: { shape: 418 } } }]",
        "seeds: 1",
    ] {
        assert!(FaultPlan::parse(bad).is_err(), "{bad}");
    }
    let all = "
seed: 7
rules:
  - match: { operation: PutImage, repository: 'shop/*', tag: '1.*', account: '123456789012', region: us-east-1,
             nth: 1, from: 1, every: 1, probability: 0.5, after_ms: 0, until_ms: 10 }
    times: 3
    action: { throttle: { shape: 429-bare } }
  - action: { throttle: {} }
  - action: { writer: { repository: shop/api, tag: '1.10', move_to: { digest: 'sha256:DIGEST' } } }
";
    let plan = FaultPlan::parse(&all.replace("DIGEST", &"0".repeat(64))).unwrap();
    assert_eq!(plan.rules.len(), 3);
    let json = serde_json::to_string(&plan).unwrap();
    assert_eq!(FaultPlan::parse(&json).unwrap(), plan);
}

#[test]
fn the_guide_shows_fault_plans_that_work_and_leaves_no_action_out() {
    let guide = include_str!("../../docs/sandbox.md");
    let plans: Vec<&str> = guide
        .split("```yaml\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap())
        .collect();
    assert_eq!(plans.len(), 1);
    assert_eq!(FaultPlan::parse(plans[0]).unwrap().rules.len(), 4);
    let error = serde_json::from_str::<Action>("\"no-such-action\"").unwrap_err();
    let actions = error.to_string();
    let (_, expected) = actions.split_once("one of").unwrap();
    let actions: Vec<&str> = expected.split('`').skip(1).step_by(2).collect();
    assert!(actions.len() >= 14, "{actions:?}");
    for action in actions {
        assert!(
            guide.contains(&format!("| `{action}` |")) || guide.contains(&format!("`{{ {action}: ")),
            "{action}"
        );
    }
}
