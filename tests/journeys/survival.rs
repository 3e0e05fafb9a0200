//! The real program, killed and interrupted in the middle of its work, over loopback.
//!
//! `SURVIVAL_KILLS=100` kills more often than usual.

use std::collections::BTreeSet;
use std::process::{Child, Command};
use std::time::Duration;

use ecr_retag::apply::journal::{Fate, Record};
use tokio::time::{Instant, sleep};

use crate::loopback::{Loopback, ended};

const KILLS: usize = 5;

/// Sends a signal to a process of ours.
fn signal(child: &Child, name: &str) {
    let status = Command::new("kill")
        .args([name, &child.id().to_string()])
        .status();
    assert!(status.unwrap().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_any_moment_and_repeated_it_ends_where_it_should() {
    let kills =
        std::env::var_os("SURVIVAL_KILLS").map_or(KILLS, |text| text.into_string().unwrap().parse().unwrap());
    let mut rng = fastrand::Rng::with_seed(kills as u64);
    let mut killed = 0;
    while killed < kills {
        let loopback = Loopback::start(500).await;
        for _ in 0..5 {
            let mut child = loopback.apply(&["--put-rate", "400"]);
            sleep(Duration::from_millis(rng.u64(0..1_200))).await;
            killed += usize::from(child.try_wait().unwrap().is_none());
            child.kill().unwrap();
            child.wait().unwrap();
        }
        assert_eq!(
            ended(&mut loopback.apply(&["--put-rate", "2000"])).await.code(),
            Some(0)
        );
        assert_eq!(loopback.copied().len(), 500);
        // A PutImage for a tag that is right is answered with an error.
        let tally = loopback.sandbox.tallies().get("PutImage").cloned().unwrap();
        assert_eq!((tally.took_effect, tally.errors.len()), (500, 0), "{tally:?}");
        let records = loopback
            .journals()
            .into_iter()
            .map(|path| std::fs::read(path).unwrap());
        // A run that was killed before its header was on disk has left an empty file.
        for bytes in records.filter(|bytes| bytes.contains(&b'\n')) {
            Record::parse(&bytes).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupt_ends_it_within_five_seconds_with_calls_in_flight() {
    for (name, code, latency_s) in [("-INT", 130, 60), ("-TERM", 143, 1)] {
        let loopback = Loopback::start(200).await;
        let mut child = loopback.apply(&["--put-rate", "50"]);
        loopback.until_written(5).await;
        loopback.sandbox.set_latency(Duration::from_secs(latency_s));
        sleep(Duration::from_millis(200)).await;
        signal(&child, name);
        let began_at = Instant::now();
        assert_eq!(ended(&mut child).await.code(), Some(code));
        assert!(
            began_at.elapsed() < Duration::from_secs(5),
            "{:?}",
            began_at.elapsed()
        );
        let record = loopback.record();
        assert!(record.is_unfinished());
        let known = |wanted: fn(Fate) -> bool| -> BTreeSet<String> {
            let fates = record.changeset.changes.iter().zip(&record.fates);
            fates
                .filter(|(_, fate)| wanted(**fate))
                .map(|(change, _)| change.address.tag.to_string())
                .collect()
        };
        let copied = loopback.copied();
        assert!(known(|fate| fate == Fate::Done).is_subset(&copied));
        assert!(copied.is_subset(&known(|fate| fate != Fate::Untouched)));
        loopback.sandbox.set_latency(Duration::ZERO);
        assert_eq!(
            ended(&mut loopback.apply(&["--put-rate", "2000"])).await.code(),
            Some(0)
        );
        assert_eq!(loopback.copied().len(), 200);
        assert_eq!(loopback.journals().len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_interrupt_ends_it_at_once_and_a_living_run_keeps_its_journal() {
    let loopback = Loopback::start(200).await;
    let mut child = loopback.apply(&["--put-rate", "20"]);
    loopback.until_written(5).await;
    assert_eq!(ended(&mut loopback.apply(&[])).await.code(), Some(1));
    loopback.sandbox.set_latency(Duration::from_mins(1));
    sleep(Duration::from_millis(200)).await;
    signal(&child, "-INT");
    sleep(Duration::from_millis(300)).await;
    let began_at = Instant::now();
    signal(&child, "-INT");
    assert_eq!(ended(&mut child).await.code(), Some(130));
    assert!(began_at.elapsed() < Duration::from_secs(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn out_of_time_is_incomplete_and_carried_on_with() {
    let loopback = Loopback::start(200).await;
    let mut child = loopback.apply(&["--put-rate", "50", "--max-duration", "1s"]);
    assert_eq!(ended(&mut child).await.code(), Some(3));
    assert!(loopback.record().is_unfinished());
    assert_eq!(
        ended(&mut loopback.apply(&["--put-rate", "2000"])).await.code(),
        Some(0)
    );
    assert_eq!(loopback.journals().len(), 1);
    assert_eq!(loopback.puts(), 200);
}
