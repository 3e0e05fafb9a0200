//! One seed's world: a sandbox, a plan, and the runs that are made of it until nothing is left to do.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ecr_retag::apply::journal::{FORMAT_VERSION, Fate, Header, Journal, Question, Record};
use ecr_retag::apply::{self, OnError, Options};
use ecr_retag::changeset::file::Document;
use ecr_retag::changeset::{self, Changeset, Made, Scope};
use ecr_retag::diagnostic::{Code, Severity, Sources};
use ecr_retag::event::{ChangeResult, Events, Outcome};
use ecr_retag::model::{Digest, RegistryKey, RepositoryName};
use ecr_retag::plan::{self, Plan, PlanInput, VariableInputs};
use ecr_retag::registry::{CallContext, ConnectOptions, InProcess, Rate, Registry, connect};
use ecr_retag::sandbox::{Call, Clock, Faults, Sandbox, State, seed};
use ecr_retag::survey::{self, Survey};
use jiff::Timestamp;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::generate;
use crate::support::{Place, clock, manifests_of, one_of, owner, percent, tags_of};

/// How the story of a seed ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Ended {
    /// The last run, without faults, had everything in its place.
    Complete,
    /// The plan has errors on what the repositories hold.
    PlanRefused,
    /// The plan means something else by now, and nothing unfinished is left to carry on with.
    Moot,
    /// Another writer stood in the way.
    Disturbed,
    /// The last run did not succeed although nothing stood in its way.
    Incomplete,
    /// What the last journal tells of was taken back.
    TakenBack,
}

/// One run of `apply` that came to write.
pub(crate) struct Run {
    pub(crate) changeset: Changeset,
    /// Where the tags were when it began.
    pub(crate) tags_before: BTreeMap<Place, Digest>,
    pub(crate) journal: PathBuf,
    pub(crate) began_at: Timestamp,
    pub(crate) outcome: Option<Outcome>,
    /// How long it took to end after it was interrupted.
    pub(crate) lingered: Option<Duration>,
}

/// The way back from a journal.
pub(crate) struct WayBack {
    pub(crate) journal: PathBuf,
    /// Where the tags were when it began.
    pub(crate) tags_before: BTreeMap<Place, Digest>,
    /// What could not be taken back.
    pub(crate) left: BTreeSet<Place>,
}

pub(crate) struct World {
    pub(crate) sandbox: Sandbox,
    /// Whether nothing goes wrong at all.
    pub(crate) is_calm: bool,
    /// Whether somebody else writes too.
    pub(crate) has_writer: bool,
    /// Whether a second run of the plan means something else.
    pub(crate) is_relative: bool,
    pub(crate) tags_before: BTreeMap<Place, Digest>,
    pub(crate) manifests_before: BTreeMap<(RepositoryName, Digest), Arc<str>>,
    pub(crate) runs: Vec<Run>,
    /// The changes that were left to make after the last run.
    pub(crate) left: Option<usize>,
    /// The way back that was taken in the end, if any.
    pub(crate) way_back: Option<WayBack>,
    rng: fastrand::Rng,
    clock: Clock,
    directory: TempDir,
    plan_text: String,
    repositories_text: String,
}

/// How a run is brought to its end.
#[derive(Debug, Clone, Copy)]
enum End {
    ByItself,
    Killed(Duration),
    Interrupted(Duration),
    OutOfTime(Duration),
}

impl World {
    pub(crate) fn new(seed_number: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed_number);
        let clock = clock();
        let repositories_text = generate::repositories(&mut rng);
        let mut state = State::new();
        seed::plant(&seed::parse(&repositories_text).unwrap(), &owner(), &mut state).unwrap();
        let sandbox = Sandbox::new(state, Faults::none(), Arc::clone(&clock));
        sandbox.set_latency(Duration::from_millis(rng.u64(0..=400)));
        let plan_text = generate::plan(&mut rng);
        Self {
            is_calm: percent(&mut rng, 20),
            has_writer: percent(&mut rng, 30),
            is_relative: false,
            tags_before: sandbox.with_state(tags_of),
            manifests_before: sandbox.with_state(manifests_of),
            runs: Vec::new(),
            left: None,
            way_back: None,
            sandbox,
            rng,
            clock,
            directory: TempDir::new().unwrap(),
            plan_text,
            repositories_text,
        }
    }

    /// Runs the command under faults until it is killed or ends, a few times, and then once more without faults.
    pub(crate) async fn live(&mut self) -> Ended {
        self.has_writer &= !self.is_calm;
        let mut ended = None;
        if !self.is_calm {
            for _ in 0..self.rng.usize(1..=4) {
                let faults = generate::faults(&mut self.rng, self.has_writer);
                self.sandbox.set_faults(Faults::new(faults));
                let end = self.end();
                ended = self.command(end).await;
                if ended.is_some_and(|ended| ended != Ended::Complete) {
                    break;
                }
                sleep(Duration::from_millis(self.rng.u64(5..5_000))).await;
            }
            self.sandbox.set_faults(Faults::none());
        }
        let ended = match ended {
            Some(ended @ (Ended::PlanRefused | Ended::Moot | Ended::Disturbed)) => ended,
            _ => self.command(End::ByItself).await.unwrap_or(Ended::Incomplete),
        };
        let may_go_back = ended != Ended::PlanRefused && !self.runs.is_empty();
        let ended = if may_go_back && percent(&mut self.rng, 30) {
            Box::pin(self.go_back()).await
        } else {
            ended
        };
        // What a killed run had sent has arrived by then.
        sleep(Duration::from_mins(2)).await;
        let registries = self.connect().await;
        let planned = self.survey(&registries, &CallContext::new(0)).await;
        self.left = planned.map(|changeset| changeset.changes.len());
        if self.has_writer { Ended::Disturbed } else { ended }
    }

    /// Takes back what the last journal tells of, under faults until it is killed or ends, and then once more without.
    async fn go_back(&mut self) -> Ended {
        // What a killed run had sent has arrived by then, or else nobody could take it back.
        sleep(Duration::from_mins(2)).await;
        self.way_back = self.runs.last().map(|run| WayBack {
            journal: run.journal.clone(),
            tags_before: self.sandbox.with_state(tags_of),
            left: BTreeSet::new(),
        });
        if !self.is_calm {
            for _ in 0..self.rng.usize(0..=2) {
                let faults = generate::faults(&mut self.rng, self.has_writer);
                self.sandbox.set_faults(Faults::new(faults));
                let end = self.end();
                self.roll_back(end).await;
                sleep(Duration::from_mins(2)).await;
            }
            self.sandbox.set_faults(Faults::none());
        }
        if self.roll_back(End::ByItself).await {
            Ended::TakenBack
        } else {
            Ended::Incomplete
        }
    }

    /// What `ecr-retag rollback JOURNAL` does, until it ends; says whether it succeeded.
    async fn roll_back(&mut self, end: End) -> bool {
        let registries = self.connect().await;
        let Some(WayBack { journal, left, .. }) = &mut self.way_back else {
            return false;
        };
        let (past, record) = Journal::reopen(journal, Arc::clone(&self.clock)).unwrap();
        let context = CallContext::new(self.rng.u64(..));
        let events = Events::none();
        let looked = Box::pin(survey::revisit(&record.changeset, &registries, &context, &events)).await;
        let Ok(inventories) = looked else {
            return false;
        };
        let made = |fate: &Fate| match fate {
            Fate::Untouched => Made::No,
            Fate::Open => Made::Perhaps,
            Fate::Done => Made::Yes,
        };
        let made: Vec<Made> = record.fates.iter().map(made).collect();
        let back = changeset::rollback(&record.changeset, &made, &inventories);
        *left = back
            .skipped
            .iter()
            .map(|skipped| (skipped.address.repository.clone(), skipped.address.tag.clone()))
            .collect();
        if back.changes.is_empty() {
            return true;
        }
        let journal = self.begin_journal(&back);
        past.roll_back().unwrap();
        drop(past);
        self.carry_out(back, journal, &registries, end).await
    }

    fn end(&mut self) -> End {
        let after = Duration::from_millis(self.rng.u64(1..20_000));
        *one_of(
            &mut self.rng,
            &[
                End::Killed(after),
                End::Killed(after / 10),
                End::Interrupted(after),
                End::OutOfTime(after),
                End::ByItself,
            ],
        )
    }

    /// What `ecr-retag apply PLAN` does, until it ends; nothing if it was cut short.
    async fn command(&mut self, end: End) -> Option<Ended> {
        let registries = self.connect().await;
        let (changeset, journal) = match self.unfinished() {
            Some(carried_on) => carried_on,
            None if self.is_relative && !self.runs.is_empty() => return Some(Ended::Moot),
            None => {
                let context = CallContext::new(self.rng.u64(..));
                let Some(changeset) = self.survey(&registries, &context).await else {
                    // What could not be read may be readable next time.
                    return None;
                };
                let diagnostics = &changeset.diagnostics;
                if diagnostics.iter().any(|d| d.severity != Severity::Warning) {
                    return Some(if self.runs.is_empty() {
                        Ended::PlanRefused
                    } else {
                        Ended::Disturbed
                    });
                }
                self.is_relative |= diagnostics.iter().any(|d| d.code == Code::ReadsWhatItMoves);
                if changeset.changes.is_empty() {
                    return Some(Ended::Complete);
                }
                let journal = self.begin_journal(&changeset);
                (changeset, journal)
            }
        };
        let is_complete = self.carry_out(changeset, journal, &registries, end).await;
        is_complete.then_some(Ended::Complete)
    }

    /// Applies a changeset until that ends; says whether it succeeded.
    async fn carry_out(
        &mut self,
        changeset: Changeset,
        journal: Journal,
        registries: &BTreeMap<RegistryKey, Registry>,
        end: End,
    ) -> bool {
        let cancel = CancellationToken::new();
        let deadline = match end {
            End::OutOfTime(after) => Some(Instant::now() + after),
            _ => None,
        };
        let context = CallContext::new(self.rng.u64(..))
            .with_cancel(cancel.clone())
            .with_deadline(deadline);
        let tags_before = self.sandbox.with_state(tags_of);
        let options = Options {
            parallelism: self.rng.usize(1..=16),
            on_error: *one_of(&mut self.rng, &[OnError::Stop, OnError::Continue]),
            verifies: percent(&mut self.rng, 80),
        };
        let began_at = (self.clock)();
        let events = Events::none();
        let work = Box::pin(apply::apply(
            &changeset, registries, &options, &context, &events, &journal,
        ));
        let (outcome, lingered) = match end {
            End::ByItself | End::OutOfTime(_) => (Some(work.await), None),
            End::Killed(after) => (tokio::time::timeout(after, work).await.ok(), None),
            End::Interrupted(after) => {
                let mut work = std::pin::pin!(work);
                if let Ok(outcome) = tokio::time::timeout(after, &mut work).await {
                    (Some(outcome), None)
                } else {
                    cancel.cancel();
                    let interrupted_at = Instant::now();
                    (Some(work.await), Some(interrupted_at.elapsed()))
                }
            }
        };
        if let Some(outcome) = &outcome {
            journal.recap(&outcome.results, &outcome.ending).unwrap();
        }
        let is_complete = outcome
            .as_ref()
            .is_some_and(|outcome| outcome.results.iter().all(ChangeResult::is_success));
        let path = journal.path().unwrap().to_owned();
        drop(journal);
        self.runs.push(Run {
            changeset,
            tags_before,
            journal: path,
            began_at,
            outcome,
            lingered,
        });
        is_complete
    }

    /// The changeset and journal of the last run, if it left something to carry on with.
    ///
    /// A plan that means the same the second time is planned anew now and then, as with `--no-resume`.
    fn unfinished(&mut self) -> Option<(Changeset, Journal)> {
        let path = &self.runs.last()?.journal;
        let record = Record::parse(&std::fs::read(path).unwrap()).unwrap();
        if !record.is_unfinished() || !self.is_relative && percent(&mut self.rng, 30) {
            return None;
        }
        let (journal, record) = Journal::reopen(path, Arc::clone(&self.clock)).unwrap();
        journal.resume().unwrap();
        Some((record.changeset, journal))
    }

    fn begin_journal(&self, changeset: &Changeset) -> Journal {
        let path = self.directory.path().join(format!("{}.jsonl", self.runs.len()));
        let header = Header {
            format_version: FORMAT_VERSION.to_owned(),
            tool_version: "simulated".to_owned(),
            time: (self.clock)().to_string(),
            question: Question::default(),
            changeset: Document::new(changeset, &Sources::default()),
        };
        Journal::create(&path, header, Arc::clone(&self.clock)).unwrap()
    }

    async fn connect(&mut self) -> BTreeMap<RegistryKey, Registry> {
        let options = ConnectOptions {
            in_process: Some(InProcess {
                http_client: self.sandbox.http_client(),
                access_key_id: "AKIA123456789012".to_owned(),
                clock: Arc::clone(&self.clock),
            }),
            put_rate: *one_of(
                &mut self.rng,
                &[Rate::Auto, Rate::Max, Rate::Fixed(7.0), Rate::Unlimited],
            ),
            ..ConnectOptions::default()
        };
        let registry = connect(&plan::Registry::default(), &options).await.unwrap();
        BTreeMap::from([(RegistryKey::default(), registry)])
    }

    /// Reads and plans; nothing if something could not be read.
    async fn survey(
        &self,
        registries: &BTreeMap<RegistryKey, Registry>,
        context: &CallContext,
    ) -> Option<Changeset> {
        let surveyed = survey::survey(
            &self.plan(),
            Survey {
                registries,
                scope: &Scope::default(),
                context,
                events: &Events::none(),
                now: (self.clock)(),
                keeps_unchanged: false,
            },
        )
        .await;
        surveyed.failures.is_empty().then_some(surveyed.changeset)
    }

    fn plan(&self) -> Plan {
        let input = PlanInput {
            path: "plan.yaml".into(),
            text: self.plan_text.clone(),
        };
        let loaded = plan::load(vec![input], &VariableInputs::default(), &|_| unreachable!());
        match loaded.plan {
            Some(plan) => plan,
            None => panic!("{:?}\n{}", loaded.diagnostics, self.plan_text),
        }
    }

    /// Everything there is to know of a seed that broke a promise.
    pub(crate) fn story(&self) -> String {
        let mut story = format!("{}\n{}\n", self.repositories_text, self.plan_text);
        for run in &self.runs {
            let _ = writeln!(story, "run from {}: {}", run.began_at, run.journal.display());
            for change in &run.changeset.changes {
                let (address, action) = (&change.address, change.action);
                let _ = writeln!(
                    story,
                    "  {}:{} {:?} -> {:?} stage {} wave {} requires {:?}",
                    address.repository,
                    address.tag,
                    action.before().map(|digest| digest.short()),
                    action.after().map(|digest| digest.short()),
                    change.stage,
                    change.wave,
                    change.requires
                );
            }
            let _ = writeln!(story, "  {:?}", run.outcome);
        }
        for call in self.sandbox.calls() {
            let _ = writeln!(story, "{}", told(&call));
        }
        story
    }
}

fn told(call: &Call) -> String {
    let short = |digest: &String| digest.chars().skip(7).take(12).collect::<String>();
    format!(
        "{:>4} {} {}{} {} {:?} {:?} -> {:?} {}{}",
        call.number,
        call.at,
        if call.is_other_writer { "OTHER " } else { "" },
        call.operation,
        call.repository.as_ref().map_or("", |name| name.as_str()),
        call.tags,
        call.digests.iter().map(short).collect::<Vec<_>>(),
        call.status,
        call.code.as_deref().unwrap_or(""),
        if call.took_effect { " (effect)" } else { "" },
    )
}
