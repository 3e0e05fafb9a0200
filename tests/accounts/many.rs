//! Twenty registries in one run, on virtual time: each at its own quota, with credentials of its own.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ecr_retag::apply::journal::{FORMAT_VERSION, Header, Question};
use ecr_retag::apply::{self, Journal, OnError, Options};
use ecr_retag::changeset::file::Document;
use ecr_retag::changeset::{Changeset, Scope};
use ecr_retag::diagnostic::Sources;
use ecr_retag::event::{ChangeResult, Ending, Events, Outcome};
use ecr_retag::model::RegistryKey;
use ecr_retag::plan::{self, Plan, PlanInput, VariableInputs};
use ecr_retag::registry::{CallContext, ConnectOptions, InProcess, Rate, Registry, connect_all};
use ecr_retag::sandbox::quota::Quota;
use ecr_retag::sandbox::{Clock, FaultPlan, Faults, Quotas, Sandbox, State, seed};
use ecr_retag::survey::{Survey, survey};
use jiff::Timestamp;
use tokio::time::Instant;

use crate::loopback::{AMBIENT, key_of, role_of};

/// A registry of the plan, and what it holds.
struct Place {
    name: &'static str,
    account: String,
    region: &'static str,
    repositories: usize,
    more: &'static str,
}

struct World {
    sandbox: Sandbox,
    clock: Clock,
    plan: Plan,
}

impl World {
    /// Each repository has two tags to set; every registry is reached by a role.
    fn new(places: &[Place]) -> Self {
        let (mut held, mut asked) = ("repositories:\n".to_owned(), "registries:\n".to_owned());
        for place in places {
            let Place {
                name,
                account,
                region,
                repositories,
                more,
            } = place;
            let names: Vec<String> = (0..*repositories).map(|n| format!("svc-{n:03}")).collect();
            writeln!(
                held,
                "- {{ names: [{}], account: \"{account}\", region: {region}, images: [{{ name: rc, tags: [rc] }}, \
                 {{ name: old, tags: [stable] }}] }}",
                names.join(", ")
            )
            .unwrap();
            let role = role_of(account);
            writeln!(
                asked,
                "  {name}-{region}: {{ region: {region}, assume_role: {role}{more} }}"
            )
            .unwrap();
        }
        let text = format!(
            "version: 1\n{asked}rules: [{{ name: cut, repositories: \"svc-*\", from: rc, to: [ga, stable] }}]\n"
        );
        let begun_at = Instant::now();
        let epoch: Timestamp = "2026-05-01T12:00:00Z".parse().unwrap();
        let clock: Clock = Arc::new(move || epoch + begun_at.elapsed());
        let mut state = State::new();
        let owner = seed::default_owner().unwrap();
        seed::plant(&seed::parse(&held).unwrap(), &owner, &mut state).unwrap();
        let sandbox = Sandbox::new(state, Faults::none(), Arc::clone(&clock));
        sandbox.set_latency(Duration::from_millis(20));
        let input = PlanInput {
            path: "plan.yaml".into(),
            text,
        };
        let loaded = plan::load(vec![input], &VariableInputs::default(), &|path: &Path| {
            std::fs::read_to_string(path)
        });
        Self {
            sandbox,
            clock,
            plan: loaded.plan.unwrap(),
        }
    }

    async fn run(&self, on_error: OnError) -> Done {
        let begun_at = Instant::now();
        let options = ConnectOptions {
            in_process: Some(InProcess {
                http_client: self.sandbox.http_client(),
                access_key_id: key_of(AMBIENT),
                clock: Arc::clone(&self.clock),
            }),
            put_rate: Rate::Auto,
            ..ConnectOptions::default()
        };
        let connected = connect_all(&self.plan.registries, &options).await;
        let connected = connected.into_iter().map(Result::unwrap);
        let registries: BTreeMap<RegistryKey, Registry> = connected
            .map(|registry| (registry.key().clone(), registry))
            .collect();
        let context = CallContext::new(7);
        let surveyed = survey(
            &self.plan,
            Survey {
                registries: &registries,
                scope: &Scope::default(),
                context: &context,
                events: &Events::none(),
                now: (self.clock)(),
                keeps_unchanged: false,
            },
        )
        .await;
        assert!(surveyed.failures.is_empty(), "{:?}", surveyed.failures);
        let changeset = surveyed.changeset;
        let folder = tempfile::tempdir().unwrap();
        let header = Header {
            format_version: FORMAT_VERSION.to_owned(),
            tool_version: "test".to_owned(),
            time: (self.clock)().to_string(),
            question: Question::default(),
            changeset: Document::new(&changeset, &Sources::default()),
        };
        let journal =
            Journal::create(&folder.path().join("j.jsonl"), header, Arc::clone(&self.clock)).unwrap();
        let options = Options {
            on_error,
            ..Options::default()
        };
        let events = Events::none();
        let outcome = apply::apply(&changeset, &registries, &options, &context, &events, &journal).await;
        Done {
            changeset,
            outcome,
            elapsed: begun_at.elapsed(),
        }
    }

    fn calls(&self, operation: &str) -> u64 {
        let tallies = self.sandbox.tallies();
        tallies.get(operation).map_or(0, |tally| tally.calls)
    }
}

struct Done {
    changeset: Changeset,
    outcome: Outcome,
    elapsed: Duration,
}

impl Done {
    /// The results of the changes in one registry.
    fn of(&self, registry: &str) -> Vec<&ChangeResult> {
        let changes = self.changeset.changes.iter().zip(&self.outcome.results);
        changes
            .filter(|(change, _)| change.address.registry.as_str() == registry)
            .map(|(_, result)| result)
            .collect()
    }
}

const REGIONS: [&str; 4] = ["eu-west-1", "eu-central-1", "us-east-1", "us-west-2"];

fn place(account: u64, region: &'static str) -> Place {
    let names = ["a", "b", "c", "d", "e"];
    Place {
        name: names[usize::try_from(account).unwrap()],
        account: format!("{:012}", 111_111_111_111 * (account + 1)),
        region,
        repositories: 50,
        more: "",
    }
}

/// Quotas from 4 to 23 a second, no two alike.
fn set_quotas(world: &World) {
    for account in 0..5_u8 {
        for (index, region) in (0..).zip(REGIONS) {
            let place = place(account.into(), region);
            let mut quota = Quota::new("PutImage", Some(f64::from(4 + 4 * account + index)));
            quota.account = Some(place.account.parse().unwrap());
            quota.region = Some(region.parse().unwrap());
            world.sandbox.set_quota(quota);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn twenty_registries_take_no_longer_than_the_slowest_alone() {
    let alone = World::new(&[place(0, REGIONS[0])]);
    set_quotas(&alone);
    let alone = alone.run(OnError::Stop).await;
    assert_eq!(alone.changeset.changes.len(), 100);
    let accounts = 0..5;
    let places: Vec<Place> = accounts
        .flat_map(|account| REGIONS.map(|region| place(account, region)))
        .collect();
    let world = World::new(&places);
    set_quotas(&world);
    let all = world.run(OnError::Stop).await;
    assert_eq!(all.changeset.registries.len(), 20);
    assert_eq!(all.changeset.changes.len(), 2_000);
    assert!(
        all.outcome
            .results
            .iter()
            .all(|result| *result == ChangeResult::Done)
    );
    assert_eq!(world.calls("AssumeRole"), 5);
    assert!(
        all.elapsed <= alone.elapsed.mul_f64(1.1),
        "alone {:?}, all {:?}",
        alone.elapsed,
        all.elapsed
    );
}

#[tokio::test(start_paused = true)]
async fn a_role_is_renewed_while_tags_are_written() {
    let slow = Place {
        repositories: 60,
        more: ", duration: 15m, put_image_per_second: 0.1",
        ..place(0, REGIONS[0])
    };
    let world = World::new(&[slow, place(1, REGIONS[0])]);
    world.sandbox.set_quotas(Quotas::none());
    let done = world.run(OnError::Stop).await;
    assert!(done.elapsed > Duration::from_mins(18), "{:?}", done.elapsed);
    assert!(
        done.outcome
            .results
            .iter()
            .all(|result| *result == ChangeResult::Done)
    );
    assert_eq!(world.calls("AssumeRole"), 3);
}

#[tokio::test(start_paused = true)]
async fn a_registry_whose_credentials_expire_ends_alone() {
    let lost = "a-eu-west-1";
    for on_error in [OnError::Stop, OnError::Continue] {
        let world = World::new(&[place(0, REGIONS[0]), place(1, REGIONS[0]), place(2, REGIONS[1])]);
        let faults = format!(
            "rules: [{{ match: {{ operation: PutImage, account: \"{}\", region: eu-west-1, nth: 30 }}, times: 1, \
             action: expire-credentials }}]",
            place(0, REGIONS[0]).account
        );
        world
            .sandbox
            .set_faults(Faults::new(FaultPlan::parse(&faults).unwrap()));
        let done = world.run(on_error).await;
        for registry in ["c-eu-central-1", "b-eu-west-1"] {
            let results = done.of(registry);
            assert!(
                results.iter().all(|result| **result == ChangeResult::Done),
                "{results:?}"
            );
        }
        let (made, rest): (Vec<_>, Vec<_>) = done
            .of(lost)
            .into_iter()
            .partition(|result| **result == ChangeResult::Done);
        assert!(made.len() >= 20 && rest.len() >= 40, "{} made", made.len());
        let failed = rest
            .iter()
            .filter(|result| matches!(result, ChangeResult::Failed(_)));
        assert!((1..rest.len()).contains(&failed.count()));
        assert!(
            matches!(&done.outcome.ending, Ending::Hopeless { registries, failure }
                if registries.iter().map(RegistryKey::as_str).eq([lost])
                    && failure.code.as_deref() == Some("ExpiredTokenException")),
            "{:?}",
            done.outcome.ending
        );
        // With credentials that are good again, the same changes are made or found made.
        world.sandbox.set_faults(Faults::none());
        let again = world.run(on_error).await;
        assert!(again.outcome.results.iter().all(ChangeResult::is_success));
        assert!(again.of(lost).len() >= 40 && again.of("b-eu-west-1").is_empty());
    }
}
