//! The promises of the program under seeded schedules of faults, crashes and restarts, on virtual time.
//!
//! A seed decides everything: what the repositories hold, the plan file, what goes wrong and when a run is killed.
//! The real SDK client talks to the sandbox; afterwards the promises are checked from the sandbox's state, its call
//! log and the journals. `SIMULATION_SEED=123` replays one seed and tells its story; `SIMULATION_SEEDS=10000` runs
//! more than the usual number.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::panic,
    reason = "what goes wrong in a test should end it, and be seen"
)]

mod check;
mod generate;
mod support;
mod world;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use support::number_from;
use world::{Ended, World};

/// How many seeds are run unless told otherwise.
const SEEDS: u64 = 400;
/// So many broken seeds are told of.
const SHOWN_MAX: usize = 5;

#[test]
fn promises_are_kept_whatever_goes_wrong() {
    if let Some(seed) = number_from("SIMULATION_SEED") {
        let (_, problems) = simulate(seed, true);
        assert!(problems.is_empty(), "seed {seed}:\n{}", problems.join("\n"));
        return;
    }
    let seeds = number_from("SIMULATION_SEEDS").unwrap_or(SEEDS);
    let next = AtomicU64::new(0);
    let broken = Mutex::new(BTreeMap::new());
    let endings: Mutex<BTreeMap<Ended, u64>> = Mutex::new(BTreeMap::new());
    let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds {
                        return;
                    }
                    let (ended, problems) = simulate(seed, false);
                    *endings.lock().unwrap().entry(ended).or_default() += 1;
                    if !problems.is_empty() {
                        broken.lock().unwrap().insert(seed, problems);
                    }
                }
            });
        }
    });
    let broken = broken.into_inner().unwrap();
    eprintln!("{seeds} seeds: {:?}", endings.into_inner().unwrap());
    let shown: Vec<String> = broken
        .iter()
        .take(SHOWN_MAX)
        .map(|(seed, problems)| {
            format!(
                "{}\n  replay: SIMULATION_SEED={seed} cargo test --test simulation -- --nocapture",
                problems.join("\n")
            )
        })
        .collect();
    assert!(
        broken.is_empty(),
        "{} of {seeds} seeds break a promise:\n{}",
        broken.len(),
        shown.join("\n")
    );
}

/// Runs one seed on its own virtual clock; says how it ended, and which promises were broken.
fn simulate(seed: u64, tells: bool) -> (Ended, Vec<String>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut world = World::new(seed);
        let ended = world.live().await;
        if tells {
            eprintln!("{}", world.story());
        }
        (ended, check::problems(&world, ended))
    })
}
