//! What is not set up right: one clear message that says what to do, exit code 1, nothing written.

use ecr_retag::sandbox::state::RoleRule;

use crate::folder::{Folder, Run};
use crate::loopback::{EU, Loopback, US, key_of, role_of};

const RULES: &str = "rules: [{ name: cut, repositories: shop/api, from: 1.8.0-rc.3, to: stable }]";

const CONFIG: &str = "\
[profile release]
aws_access_key_id = AKIA111111111111AAAA
aws_secret_access_key = secret
[profile chained]
role_arn = arn:aws:iam::111111111111:role/retag
source_profile = gone
[profile corp]
sso_session = corp
sso_account_id = 111111111111
sso_role_name = retag
[sso-session corp]
sso_region = eu-west-1
sso_start_url = https://corp.awsapps.com/start
[profile program]
credential_process = false
";

/// The token of an SSO session that is over; the file's name is the SHA-1 of `corp`.
const SSO_TOKEN: (&str, &str) = (
    ".aws/sso/cache/ee0bfd2552fbd840c02cc48b6e823320543c450f.json",
    r#"{"startUrl":"https://corp.awsapps.com/start","region":"eu-west-1","accessToken":"t0ken","expiresAt":"2020-01-01T00:00:00Z"}"#,
);

/// A plan with one registry of these properties.
fn plan(registry: &str) -> String {
    format!("version: 1\nregistries: {{ eu: {{ {registry} }} }}\n{RULES}\n")
}

/// Runs `plan` and `apply`, each of which must end with this one message.
#[track_caller]
fn says(loopback: &Loopback, folder: &Folder, plan: &str, options: &str, said: &[&str]) {
    folder
        .file("plan.yaml", plan)
        .file(".aws/config", CONFIG)
        .file(SSO_TOKEN.0, SSO_TOKEN.1);
    let files = folder.files();
    for command in ["plan plan.yaml --out cut.json", "apply plan.yaml --auto-approve"] {
        let run = folder.run(&format!("{command} {options}")).ends_with(1);
        one_error(&run, said);
    }
    assert_eq!(folder.files(), files);
    assert_eq!(loopback.writes(), 0);
}

#[track_caller]
fn one_error(run: &Run, said: &[&str]) {
    assert_eq!(run.err.matches("Error: ").count(), 1, "{}", run.err);
    assert_eq!(run.err.matches("help: ").count(), 1, "{}", run.err);
    for said in said {
        assert!(run.err.contains(said), "`{said}` is not in\n{}", run.err);
    }
    assert!(
        !run.err.contains("t0ken") && !run.err.contains("secret,"),
        "{}",
        run.err
    );
}

#[test]
fn a_wrong_pin() {
    let loopback = Loopback::start();
    let said = [
        "access denied in DescribeRepositories",
        "`account` in the plan file says 222222222222: correct it or the credentials",
        "need `ecr:DescribeRepositories`",
    ];
    let pinned = format!("region: us-east-1, account: \"{US}\"");
    says(&loopback, &loopback.folder_as(EU), &plan(&pinned), "", &said);
    let with_role = format!("{pinned}, assume_role: {}, external_id: ticket-42", role_of(EU));
    says(&loopback, &loopback.folder(), &plan(&with_role), "", &said);
}

#[test]
fn a_wrong_region() {
    let loopback = Loopback::start();
    let folder = loopback.folder_as(EU);
    folder.file("plan.yaml", &plan("region: eu-west-3"));
    for command in ["plan plan.yaml --out cut.json", "apply plan.yaml --auto-approve"] {
        let run = folder.run(command).ends_with(1);
        let said = "there is no repository `shop/api` in eu-west-3 [plan/repository-not-found]";
        one_error(&run, &[said, "correct the name, the account or the region"]);
    }
    let ambient = loopback.folder_as(EU);
    says(
        &loopback,
        &ambient,
        &plan(""),
        "",
        &[
            "no region is set",
            "say `region` in the plan file, `--region`, or `AWS_REGION`",
        ],
    );
}

#[test]
fn a_role_that_is_denied() {
    let loopback = Loopback::start();
    let said = [
        "no credentials could be had: User: arn:aws:iam::123456789012:user/sandbox is not authorized to perform: \
         sts:AssumeRole on resource: arn:aws:iam::",
        "the role's trust policy must let the caller assume it, and the caller needs `sts:AssumeRole`",
    ];
    let denied = role_of(US);
    let edited = loopback
        .sandbox
        .edit(|state| state.set_role(&denied, RoleRule::denied()));
    edited.unwrap();
    let role = format!("region: us-east-1, assume_role: {denied}");
    says(&loopback, &loopback.folder(), &plan(&role), "", &said);
    let wrong_id = format!(
        "region: eu-west-1, assume_role: {}, external_id: other",
        role_of(EU)
    );
    says(&loopback, &loopback.folder(), &plan(&wrong_id), "", &said);
}

#[test]
fn a_role_that_a_role_takes_on_for_too_long() {
    let loopback = Loopback::start();
    let folder = loopback.folder().with("AWS_CONFIG_FILE", "config");
    folder.file(
        "config",
        &format!(
            "[profile first]\nrole_arn = {}\nsource_profile = keys\n[profile keys]\naws_access_key_id = {}\n\
             aws_secret_access_key = secret\n",
            role_of(US),
            key_of(US)
        ),
    );
    let role = |duration: &str| {
        plan(&format!(
            "region: eu-west-1, profile: first, assume_role: {}, external_id: ticket-42, duration: {duration}",
            role_of(EU)
        ))
    };
    let said = [
        "exceeds the 1 hour session limit for roles assumed by role chaining",
        "`duration`",
    ];
    says(&loopback, &folder, &role("2h"), "", &said);
    folder.file("plan.yaml", &role("1h"));
    folder.run("plan plan.yaml").succeeds();
}

#[test]
fn a_profile_that_does_not_exist() {
    let loopback = Loopback::start();
    let said = ["the profile `relaese` does not exist", "is `release` meant?"];
    let folder = loopback.folder();
    says(
        &loopback,
        &folder,
        &plan("region: eu-west-1, profile: relaese"),
        "",
        &said,
    );
    says(
        &loopback,
        &folder,
        &plan("region: eu-west-1"),
        "--profile relaese",
        &said,
    );
    // With keys beside it, too: whoever sets both means the profile for something.
    let folder = loopback.folder().with("AWS_PROFILE", "relaese");
    says(&loopback, &folder, &plan("region: eu-west-1"), "", &said);
    let said = ["the profile `gone`, which `chained` has as its `source_profile`, does not exist"];
    says(
        &loopback,
        &loopback.folder(),
        &plan("region: eu-west-1, profile: chained"),
        "",
        &said,
    );
}

#[test]
fn an_sso_session_that_is_over() {
    let loopback = Loopback::start();
    let said = [
        "no credentials could be had: the SSO token has expired and cannot be refreshed",
        "for SSO with `aws sso login`",
    ];
    says(
        &loopback,
        &loopback.folder(),
        &plan("region: eu-west-1, profile: corp"),
        "",
        &said,
    );
}

#[test]
fn credentials_that_are_not_there_or_no_longer_good() {
    let loopback = Loopback::start();
    let bare = Folder::new().with("AWS_ENDPOINT_URL", &loopback.url());
    let said = ["no credentials were found", "name a profile with `--profile`"];
    says(&loopback, &bare, &plan("region: eu-west-1"), "", &said);
    let said = [
        "no credentials could be had: ",
        "external process exited",
        "get new credentials",
    ];
    says(
        &loopback,
        &bare,
        &plan("region: eu-west-1, profile: program"),
        "",
        &said,
    );
    loopback.sandbox.expire_credentials(&key_of(EU));
    let said = [
        "credentials expired in DescribeRepositories",
        "get new credentials",
    ];
    says(
        &loopback,
        &loopback.folder_as(EU),
        &plan("region: eu-west-1"),
        "",
        &said,
    );
    let folder = loopback.folder_as(EU).with("AWS_ENDPOINT_URL_ECR", "");
    let said = ["`AWS_ENDPOINT_URL_ECR` is empty", "unset AWS_ENDPOINT_URL_ECR"];
    says(&loopback, &folder, &plan("region: eu-west-1"), "", &said);
}

/// What fails in one registry is said with its name, and the others are planned all the same.
#[test]
fn the_others_are_planned_all_the_same() {
    let loopback = Loopback::start();
    let plan = format!(
        "version: 1
registries:
  eu: {{ region: eu-west-1, assume_role: {} }}
  us: {{ region: us-east-1, assume_role: {} }}
  ap: {{ region: ap-east-1, profile: gone }}
{RULES}
",
        role_of(EU),
        role_of(US)
    );
    let folder = loopback.folder();
    folder.file("plan.yaml", &plan).file(".aws/config", CONFIG);
    let run = folder.run("plan plan.yaml").ends_with(1);
    assert!(
        run.err
            .contains("Error: registry `ap`: the profile `gone` does not exist"),
        "{}",
        run.err
    );
    assert!(
        run.err
            .contains("Error: registry `eu`: no credentials could be had: "),
        "{}",
        run.err
    );
    assert_eq!(run.err.matches("Error: ").count(), 2, "{}", run.err);
    assert!(
        run.out.contains("# us/shop/api:stable will be updated"),
        "{}",
        run.out
    );
    folder.run("apply plan.yaml --auto-approve").ends_with(1);
    assert_eq!(loopback.writes(), 0);
    folder
        .run("plan plan.yaml --allow-partial --out cut.json")
        .succeeds();
    let applied = folder
        .run("apply plan.yaml --auto-approve --allow-partial")
        .ends_with(3);
    assert!(
        applied.out.contains("Apply complete! Tags: 0 added, 1 changed"),
        "{}",
        applied.out
    );
    assert_eq!(loopback.writes(), 1);
    // What was left out of a saved changeset is not asked for again.
    folder.run("apply cut.json").succeeds();
}

#[test]
fn a_saved_changeset_that_cannot_be_reached() {
    let loopback = Loopback::start();
    let folder = loopback.folder();
    folder.file("plan.yaml", &crate::loopback::plan());
    folder.run("plan plan.yaml --out cut.json").succeeds();
    let edited = loopback
        .sandbox
        .edit(|state| state.set_role(&role_of(US), RoleRule::denied()));
    edited.unwrap();
    let run = folder.run("apply cut.json").ends_with(1);
    one_error(
        &run,
        &[
            "Error: registry `us`: no credentials could be had: ",
            "trust policy",
        ],
    );
    assert_eq!(loopback.writes(), 0);
    assert_eq!(folder.files(), ["cut.json", "plan.yaml"]);
}
