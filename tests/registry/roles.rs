use ecr_retag::plan;
use ecr_retag::registry::{Kind, connect};
use ecr_retag::sandbox::fault::{Action, Match};

use crate::support::{World, list_once};

fn with_role(account: &str) -> plan::Registry {
    let access = plan::Access {
        assume_role: Some(plan::AssumeRole {
            role_arn: format!("arn:aws:iam::{account}:role/retag"),
            external_id: Some("1234".to_owned()),
            session_name: None,
            duration_s: Some(900),
        }),
        ..plan::Access::default()
    };
    plan::Registry {
        access,
        ..plan::Registry::default()
    }
}

#[tokio::test(start_paused = true)]
async fn a_role_is_taken_on_once_and_renewed_before_it_runs_out() {
    let world = World::new();
    let registry = connect(&with_role("123456789012"), &world.options).await.unwrap();
    assert_eq!(world.calls("AssumeRole"), 0);
    list_once(&registry).await.unwrap();
    list_once(&registry).await.unwrap();
    assert_eq!(world.calls("AssumeRole"), 1);
    tokio::time::sleep(std::time::Duration::from_secs(895)).await;
    list_once(&registry).await.unwrap();
    assert_eq!(world.calls("AssumeRole"), 2);
}

#[tokio::test(start_paused = true)]
async fn a_role_that_is_denied_ends_it_with_one_message() {
    let world = World::new();
    let on = Match {
        operation: Some("AssumeRole".to_owned()),
        ..Match::default()
    };
    world.fault(on, Action::Deny);
    let registry = connect(&with_role("123456789012"), &world.options).await.unwrap();
    let error = list_once(&registry).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Configuration);
    let text = error.to_string();
    assert!(text.starts_with("no credentials could be had: User: "), "{text}");
    assert!(text.contains("AccessDenied"), "{text}");
    assert!(error.help().unwrap().contains("trust policy"));
}

#[tokio::test(start_paused = true)]
async fn expired_credentials_say_so() {
    let world = World::new();
    world.sandbox.expire_credentials("AKIA123456789012");
    let error = list_once(&world.registry().await).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Expired);
    assert!(error.kind().ends_the_run());
}
