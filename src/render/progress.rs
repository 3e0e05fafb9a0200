//! How far a run is: one bar on a terminal, one plain line every ten seconds elsewhere.
//!
//! Events only count; what is shown is drawn from the counts ten times a second at most, however fast events come.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::{Instant, MissedTickBehavior};

use super::printer::{Printer, Verbosity};
use super::text::{counted, rate, rough_span};
use crate::event::{ChangeResult, Event, Events};

/// How often a bar is drawn.
const DRAW_EVERY: Duration = Duration::from_millis(100);
/// How often a plain line is printed.
const PRINT_EVERY: Duration = Duration::from_secs(10);
/// The time that the rate is taken over.
const RATE_OVER: Duration = Duration::from_secs(5);

/// Counts events, and shows them while work goes on.
#[derive(Debug, Clone, Default)]
pub struct Progress(Arc<Mutex<Meter>>);

impl Progress {
    /// Nothing has happened yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Where reading and applying say what they do.
    pub fn events(&self) -> Events {
        let progress = self.clone();
        Events::new(move |event| progress.record(&event))
    }

    /// Counts one event, for callers that listen themselves.
    pub fn record(&self, event: &Event) {
        self.meter(|meter| meter.record(event));
    }

    /// Shows progress until the work is done, and clears the bar away. Quiet printers show nothing.
    pub async fn during<T>(&self, printer: &Printer, work: impl Future<Output = T>) -> T {
        if printer.verbosity() == Verbosity::Quiet {
            return work.await;
        }
        if !printer.draws() {
            let print = |status: ProgressStatus| printer.err(&format!("{status}\n"));
            return self.every(PRINT_EVERY, work, print).await;
        }
        let mut bar = Bar::new(printer);
        self.every(DRAW_EVERY, work, |status| bar.draw(&status)).await
    }

    /// Hands out how far the work is every ten seconds, such as for a line of JSON, until it is done.
    pub async fn during_with<T>(&self, work: impl Future<Output = T>, show: impl FnMut(ProgressStatus)) -> T {
        self.every(PRINT_EVERY, work, show).await
    }

    /// How far the work is, this long after it began. The rate is that since earlier calls.
    pub fn status(&self, elapsed: Duration) -> ProgressStatus {
        self.meter(|meter| meter.status(elapsed))
    }

    async fn every<T>(
        &self,
        period: Duration,
        work: impl Future<Output = T>,
        mut show: impl FnMut(ProgressStatus),
    ) -> T {
        let start = Instant::now();
        let mut ticks = tokio::time::interval_at(start + period, period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.status(Duration::ZERO);
        tokio::pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return done,
                _ = ticks.tick() => show(self.status(start.elapsed())),
            }
        }
    }

    fn meter<T>(&self, f: impl FnOnce(&mut Meter) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What is being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Phase {
    /// Repositories are read.
    #[default]
    Reading,
    /// Changes are made.
    Applying,
    /// Nothing new is begun; calls in flight are awaited.
    Stopping,
}

/// How far the work is.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ProgressStatus {
    /// What is being done.
    pub phase: Phase,
    /// Repositories read, or changes that came to their end.
    pub done: u64,
    /// How many there are.
    pub total: u64,
    /// Changes that did not succeed.
    pub failed: u64,
    /// Calls that will be made again.
    pub retries: u64,
    /// How many of them because the registry asked to slow down.
    pub throttled: u64,
    /// Changes written per second, over the last few seconds.
    pub puts_per_second: f64,
    /// How long it will take at this rate, in seconds; unknown before anything was written.
    pub remaining_s: Option<f64>,
}

impl ProgressStatus {
    fn verb(&self) -> &'static str {
        match self.phase {
            Phase::Reading => "Reading",
            Phase::Applying => "Applying",
            Phase::Stopping => "Stopping",
        }
    }

    /// What stands behind `done/total`.
    fn details(&self) -> String {
        let mut parts = vec![match self.phase {
            Phase::Reading => "repositories".to_owned(),
            Phase::Applying | Phase::Stopping => format!("tags, {}", rate(self.puts_per_second)),
        }];
        if self.retries > 0 {
            let retries = counted(self.retries, "retry", "retries");
            parts.push(match self.throttled {
                0 => retries,
                throttled => format!("{retries} ({throttled} throttled)"),
            });
        }
        if self.failed > 0 {
            parts.push(format!("{} failed", self.failed));
        }
        if let Some(remaining_s) = self.remaining_s.filter(|_| self.phase == Phase::Applying) {
            parts.push(format!("about {} left", rough_span(remaining_s)));
        }
        parts.join(", ")
    }
}

impl fmt::Display for ProgressStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {}/{} {}",
            self.verb(),
            self.done,
            self.total,
            self.details()
        )
    }
}

/// The counts, and when they were looked at.
#[derive(Debug, Default)]
struct Meter {
    status: ProgressStatus,
    /// Tags written so far.
    puts: u64,
    /// When the counts were looked at, and how many tags were written then.
    samples: VecDeque<(Duration, u64)>,
}

impl Meter {
    fn record(&mut self, event: &Event) {
        let status = &mut self.status;
        match event {
            Event::RepositoriesFound { count, .. } => status.total += count,
            Event::RepositoryRead { .. } => status.done += 1,
            Event::ApplyStarted { changes } => {
                *status = ProgressStatus {
                    phase: Phase::Applying,
                    total: *changes,
                    ..ProgressStatus::default()
                };
            }
            Event::ChangeFinished { result, attempts, .. } => {
                status.done += 1;
                self.puts += u64::from(*result == ChangeResult::Done && *attempts > 0);
                status.failed += u64::from(matches!(
                    result,
                    ChangeResult::Failed(_) | ChangeResult::Stale { .. }
                ));
            }
            Event::Retrying { is_throttle, .. } => {
                status.retries += 1;
                status.throttled += u64::from(*is_throttle);
            }
            Event::Stopping { .. } => status.phase = Phase::Stopping,
            Event::ChangeStarted { .. } | Event::PaceChanged { .. } => {}
        }
    }

    fn status(&mut self, elapsed: Duration) -> ProgressStatus {
        // The last sample that is old enough stays: the rate is taken from there.
        while self
            .samples
            .get(1)
            .is_some_and(|(at, _)| *at + RATE_OVER <= elapsed)
        {
            self.samples.pop_front();
        }
        let (since, puts_then) = self.samples.front().copied().unwrap_or((elapsed, self.puts));
        self.samples.push_back((elapsed, self.puts));
        let seconds = elapsed.saturating_sub(since).as_secs_f64();
        let puts = as_f64(self.puts.saturating_sub(puts_then));
        let puts_per_second = if seconds > 0.0 { puts / seconds } else { 0.0 };
        let left = as_f64(self.status.total.saturating_sub(self.status.done));
        ProgressStatus {
            puts_per_second,
            remaining_s: (puts_per_second > 0.0).then(|| left / puts_per_second),
            ..self.status
        }
    }
}

fn as_f64(count: u64) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

/// One bar on the terminal: there from the first time it is drawn, gone when it is dropped.
struct Bar<'a> {
    printer: &'a Printer,
    drawn: Option<ProgressBar>,
}

impl<'a> Bar<'a> {
    fn new(printer: &'a Printer) -> Self {
        Self { printer, drawn: None }
    }

    fn draw(&mut self, status: &ProgressStatus) {
        let Some(bar) = &self.drawn else {
            let mut bar = ProgressBar::new(status.total)
                .with_position(status.done)
                .with_prefix(status.verb())
                .with_message(status.details());
            if let Ok(style) = ProgressStyle::with_template("{prefix} [{bar:30}] {pos}/{len} {wide_msg}") {
                bar = bar.with_style(style.progress_chars("=> "));
            }
            self.drawn = Some(self.printer.bars().add(bar));
            return;
        };
        bar.set_length(status.total);
        bar.set_position(status.done);
        bar.set_prefix(status.verb());
        bar.set_message(status.details());
    }
}

impl Drop for Bar<'_> {
    fn drop(&mut self) {
        if let Some(bar) = &self.drawn {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::address;
    use super::*;
    use crate::event::Failure;

    fn finished(result: ChangeResult) -> Event {
        Event::ChangeFinished {
            address: address("shop/api:stable"),
            result,
            attempts: 1,
        }
    }

    fn retrying(is_throttle: bool) -> Event {
        let registry = crate::model::RegistryKey::default();
        Event::Retrying {
            registry,
            operation: "PutImage",
            is_throttle,
            wait: Duration::from_secs(1),
        }
    }

    #[test]
    fn reading_counts_repositories_of_all_registries() {
        let progress = Progress::new();
        let events = progress.events();
        for count in [300, 200] {
            events.emit(Event::RepositoriesFound {
                registry: "eu".parse().unwrap(),
                count,
            });
        }
        events.emit(Event::RepositoryRead {
            registry: "eu".parse().unwrap(),
            repository: "shop/api".parse().unwrap(),
        });
        assert_eq!(
            progress.status(Duration::from_secs(1)).to_string(),
            "Reading: 1/500 repositories"
        );
    }

    #[test]
    fn applying_shows_the_rate_now_and_what_is_left() {
        let progress = Progress::new();
        progress.record(&Event::ApplyStarted { changes: 1_000 });
        progress.status(Duration::ZERO);
        for second in 1..=20 {
            for _ in 0..if second <= 10 { 2 } else { 9 } {
                progress.record(&finished(ChangeResult::Done));
            }
            progress.status(Duration::from_secs(second));
        }
        progress.record(&retrying(true));
        progress.record(&retrying(false));
        progress.record(&finished(ChangeResult::Stale { now: None }));
        let failure = Failure {
            message: String::new(),
            code: None,
            request_id: None,
            help: None,
        };
        progress.record(&finished(ChangeResult::Failed(failure)));
        assert_eq!(
            progress.status(Duration::from_secs(20)).to_string(),
            "Applying: 112/1000 tags, 9/s, 2 retries (1 throttled), 2 failed, about 99s left"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn elsewhere_a_plain_line_is_printed_every_ten_seconds() {
        let progress = Progress::new();
        progress.record(&Event::ApplyStarted { changes: 10 });
        let mut lines = Vec::new();
        let work = tokio::time::sleep(Duration::from_secs(35));
        progress
            .during_with(work, |status| lines.push(status.to_string()))
            .await;
        assert_eq!(lines, ["Applying: 0/10 tags, 0/s"; 3]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_bar_is_gone_when_the_work_is_done() {
        let terminal = indicatif::InMemoryTerm::new(10, 80);
        let printer = Printer::to_terminal(terminal.clone());
        let progress = Progress::new();
        progress.record(&Event::ApplyStarted { changes: 10 });
        let seen = progress
            .during(&printer, async {
                progress.record(&finished(ChangeResult::Done));
                tokio::time::sleep(Duration::from_secs(1)).await;
                terminal.contents()
            })
            .await;
        assert!(seen.starts_with("Applying [===>"), "{seen}");
        assert!(seen.contains(" 1/10 tags, "), "{seen}");
        assert_eq!(terminal.contents(), "");
    }
}
