//! Accounts, regions, roles.

use aws_sdk_ecr::config::ProvideCredentials as _;
use aws_sdk_ecr::error::ProvideErrorMetadata;
use ecr_retag::sandbox::state::{RoleRule, State};
use ecr_retag::sandbox::{Caller, Faults, Outcome, Sandbox, seed};
use http::Request;
use hyper::body::Bytes;

use crate::support::*;

const ROLE: &str = "arn:aws:iam::222222222222:role/team/retag";

fn caller(account: &str, region: &str) -> Caller {
    Caller {
        account: account.parse().unwrap(),
        region: region.parse().unwrap(),
    }
}

fn two_accounts() -> State {
    let seed = seed::parse(SMALL).unwrap();
    let mut state = State::new();
    for (account, region) in [
        ("111111111111", "us-east-1"),
        ("222222222222", "us-east-1"),
        ("222222222222", "eu-west-1"),
    ] {
        seed::plant(&seed, &caller(account, region), &mut state).unwrap();
    }
    state
}

#[tokio::test]
async fn accounts_and_regions_are_apart() {
    let sandbox = Sandbox::new(two_accounts(), Faults::none(), still());
    let delete = |key: &'static str, region: &'static str| {
        let client = client_as(&sandbox, key, region);
        async move {
            client
                .delete_repository()
                .repository_name("shop/api")
                .force(true)
                .send()
                .await
        }
    };
    delete("AKIA222222222222AAAA", "eu-west-1").await.unwrap();
    let error = delete("AKIA111111111111AAAA", "eu-west-1").await.unwrap_err();
    assert_eq!(error.code(), Some("RepositoryNotFoundException"));
    delete("111111111111", "us-east-1").await.unwrap();
    delete("222222222222", "us-east-1").await.unwrap();
    let error = delete("AKIANOBODY", "us-east-1").await.unwrap_err();
    assert!(error.message().unwrap().contains("123456789012"), "{error:?}");
}

#[tokio::test]
async fn another_account_is_reached_with_a_grant_only() {
    let sandbox = Sandbox::new(two_accounts(), Faults::none(), still());
    let list = |owner: &'static str| {
        let client = client_as(&sandbox, "111111111111", "us-east-1");
        async move {
            client
                .list_images()
                .registry_id(owner)
                .repository_name("shop/api")
                .send()
                .await
        }
    };
    list("111111111111").await.unwrap();
    let error = list("222222222222").await.unwrap_err();
    assert_eq!(error.code(), Some("AccessDeniedException"));
    assert_eq!(
        error.message().unwrap(),
        "User: arn:aws:iam::111111111111:user/sandbox is not authorized to perform: ecr:ListImages on resource: \
         arn:aws:ecr:us-east-1:222222222222:repository/shop/api because no resource-based policy allows the \
         ecr:ListImages action"
    );
    let owner = || caller("222222222222", "us-east-1").account;
    sandbox
        .edit(|state| state.grant(owner(), "111111111111".parse().unwrap()))
        .unwrap();
    list("222222222222").await.unwrap();
    assert_eq!(
        list("1").await.unwrap_err().code(),
        Some("InvalidParameterException")
    );
    assert_eq!(sandbox.calls()[1].registry, Some(owner()));
}

/// Calls STS; `credential` is an access key and a token.
async fn sts(sandbox: &Sandbox, form: &str, credential: Option<(&str, &str)>) -> (u16, String) {
    let mut request = Request::post("/")
        .header("content-type", "application/x-www-form-urlencoded; charset=utf-8")
        .body(Bytes::from(form.to_owned()))
        .unwrap();
    if let Some((key, token)) = credential {
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={key}/20260501/us-east-1/sts/aws4_request, SignedHeaders=host, Signature={}",
            "0".repeat(64)
        );
        let headers = request.headers_mut();
        headers.insert("authorization", authorization.parse().unwrap());
        headers.insert("x-amz-date", "20260501T120000Z".parse().unwrap());
        if !token.is_empty() {
            headers.insert("x-amz-security-token", token.parse().unwrap());
        }
    }
    let Outcome::Answered(response) = sandbox.answer(request).await else {
        panic!("no answer");
    };
    let body = String::from_utf8(response.body().to_vec()).unwrap();
    (response.status().as_u16(), body)
}

fn element<'a>(xml: &'a str, name: &str) -> &'a str {
    let (_, rest) = xml
        .split_once(&format!("<{name}>"))
        .unwrap_or_else(|| panic!("{xml}"));
    rest.split_once(&format!("</{name}>")).unwrap().0
}

fn assume(role: &str, more: &str) -> String {
    format!("Action=AssumeRole&Version=2011-06-15&RoleArn={role}&RoleSessionName=cut{more}")
}

#[tokio::test]
async fn sts_says_who_calls() {
    let sandbox = Sandbox::new(State::new(), Faults::none(), still());
    let form = "Action=GetCallerIdentity&Version=2011-06-15";
    let (status, xml) = sts(&sandbox, form, Some(("111111111111", ""))).await;
    assert_eq!(status, 200);
    assert_eq!(element(&xml, "Account"), "111111111111");
    assert_eq!(element(&xml, "Arn"), "arn:aws:iam::111111111111:user/sandbox");
    let (status, xml) = sts(&sandbox, form, None).await;
    assert_eq!(
        (status, element(&xml, "Code")),
        (403, "MissingAuthenticationToken")
    );
    let (status, xml) = sts(&sandbox, "Action=Nonsense", Some(("x", ""))).await;
    assert_eq!((status, element(&xml, "Code")), (400, "InvalidAction"));
}

#[tokio::test]
async fn a_role_gives_keys_of_its_account_for_a_while() {
    let time = std::sync::Arc::new(std::sync::Mutex::new(now()));
    let ticking = std::sync::Arc::clone(&time);
    let clock: ecr_retag::sandbox::Clock = std::sync::Arc::new(move || *ticking.lock().unwrap());
    let sandbox = Sandbox::new(two_accounts(), Faults::none(), clock);
    let form = assume(ROLE, "&DurationSeconds=900");
    let (status, xml) = sts(&sandbox, &form, Some(("111111111111", ""))).await;
    assert_eq!(status, 200, "{xml}");
    assert_eq!(element(&xml, "Expiration"), "2026-05-01T12:15:00Z");
    assert_eq!(
        element(&xml, "Arn"),
        "arn:aws:sts::222222222222:assumed-role/retag/cut"
    );
    let key = element(&xml, "AccessKeyId").to_owned();
    let token = element(&xml, "SessionToken").to_owned();
    let client = |token: Option<String>| {
        let credentials = aws_sdk_ecr::config::Credentials::new(key.clone(), "secret", token, None, "test");
        let config = config("-", "us-east-1")
            .credentials_provider(credentials)
            .http_client(sandbox.http_client());
        aws_sdk_ecr::Client::from_conf(config.build())
    };
    let good = client(Some(token.clone()));
    let describe = || good.describe_repositories().send();
    let described = describe().await.unwrap();
    assert_eq!(described.repositories()[0].registry_id(), Some("222222222222"));
    for bad in [None, Some("guessed".to_owned())] {
        let error = client(bad).describe_repositories().send().await.unwrap_err();
        assert_eq!(error.code(), Some("UnrecognizedClientException"));
    }
    // A role may assume a role, for an hour at most.
    let chained = |more: &str| assume("arn:aws:iam::111111111111:role/next", more);
    let (status, _) = sts(&sandbox, &chained(""), Some((&key, &token))).await;
    assert_eq!(status, 200);
    let (status, xml) = sts(&sandbox, &chained("&DurationSeconds=7200"), Some((&key, &token))).await;
    assert_eq!((status, element(&xml, "Code")), (400, "ValidationError"));
    *time.lock().unwrap() = now() + jiff::SignedDuration::from_mins(15);
    assert_eq!(
        describe().await.unwrap_err().code(),
        Some("ExpiredTokenException")
    );
    let (status, xml) = sts(&sandbox, &chained(""), Some((&key, &token))).await;
    assert_eq!((status, element(&xml, "Code")), (403, "ExpiredToken"));
}

#[tokio::test]
async fn a_token_of_somebody_else_gives_keys_too() {
    let sandbox = Sandbox::new(State::new(), Faults::none(), still());
    let form =
        format!("Action=AssumeRoleWithWebIdentity&RoleArn={ROLE}&RoleSessionName=ci&WebIdentityToken=abc");
    let (status, xml) = sts(&sandbox, &form, None).await;
    assert_eq!(status, 200, "{xml}");
    assert!(element(&xml, "AccessKeyId").starts_with("ASIA"));
}

#[tokio::test]
async fn roles_can_be_closed() {
    let sandbox = Sandbox::new(State::new(), Faults::none(), still());
    let external = "arn:aws:iam::222222222222:role/external";
    sandbox
        .edit(|state| {
            state.set_role(ROLE, RoleRule::denied());
            let rule = RoleRule {
                is_denied: false,
                external_id: Some("s3cret".to_owned()),
            };
            state.set_role(external, rule);
        })
        .unwrap();
    for (form, status, code) in [
        (assume(ROLE, ""), 403, "AccessDenied"),
        (assume(external, ""), 403, "AccessDenied"),
        (assume(external, "&ExternalId=wrong"), 403, "AccessDenied"),
        (assume("retag", ""), 400, "ValidationError"),
        (
            assume(external, "&ExternalId=s3cret&DurationSeconds=1"),
            400,
            "ValidationError",
        ),
        ("Action=AssumeRole".to_owned(), 400, "ValidationError"),
        (
            format!(
                "Action=AssumeRoleWithWebIdentity&RoleArn={ROLE}&RoleSessionName=ci&WebIdentityToken=abc"
            ),
            403,
            "AccessDenied",
        ),
    ] {
        let (answered, xml) = sts(&sandbox, &form, Some(("111111111111", ""))).await;
        assert_eq!((answered, element(&xml, "Code")), (status, code), "{form}");
    }
    let (status, _) = sts(
        &sandbox,
        &assume(external, "&ExternalId=s3cret"),
        Some(("111111111111", "")),
    )
    .await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn faults_reach_sts_when_they_name_it() {
    let plan = "rules: [{ action: server-error }, { match: { operation: AssumeRole }, action: deny }]";
    let sandbox = faulty(SMALL, plan);
    let (status, _) = sts(&sandbox, "Action=GetCallerIdentity", Some(("x", ""))).await;
    assert_eq!(status, 200);
    let (status, xml) = sts(&sandbox, &assume(ROLE, ""), Some(("x", ""))).await;
    assert_eq!((status, element(&xml, "Code")), (403, "AccessDenied"));
}

/// The credentials that the real SDK gets for a role, and whose they are.
#[tokio::test]
async fn the_sdk_assumes_a_role() {
    use aws_sdk_ecr::config::{BehaviorVersion, Credentials, Region};
    let sandbox = Sandbox::new(two_accounts(), Faults::none(), std::sync::Arc::new(system_time));
    let keys = Credentials::new("111111111111", "secret", None, None, "test");
    let ambient = aws_config::defaults(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(keys)
        .http_client(sandbox.http_client())
        .load()
        .await;
    let role = aws_config::sts::AssumeRoleProvider::builder(ROLE)
        .session_name("cut")
        .configure(&ambient)
        .build()
        .await;
    let config = config("-", "us-east-1")
        .credentials_provider(role)
        .http_client(sandbox.http_client());
    let client = aws_sdk_ecr::Client::from_conf(config.build());
    for _ in 0..3 {
        let described = client.describe_repositories().send().await.unwrap();
        assert_eq!(described.repositories()[0].registry_id(), Some("222222222222"));
    }
    assert_eq!(sandbox.tallies()["AssumeRole"].calls, 1);
    sandbox
        .edit(|state| state.set_role(ROLE, RoleRule::denied()))
        .unwrap();
    let refused = aws_config::sts::AssumeRoleProvider::builder(ROLE)
        .configure(&ambient)
        .build()
        .await;
    let error = refused.provide_credentials().await.unwrap_err();
    let shown = format!("{error:?}");
    assert!(shown.contains("AccessDenied"), "{shown}");
}

#[expect(clippy::disallowed_methods, reason = "the SDK renews by the real time")]
fn system_time() -> jiff::Timestamp {
    jiff::Timestamp::now()
}
