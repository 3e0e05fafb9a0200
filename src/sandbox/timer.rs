//! Wakes tasks on time, to about a tenth of a millisecond.
//!
//! tokio's timer counts whole milliseconds and rounds up, and tasks that are woken together come back together: a
//! latency of 30 ms would be nearer 32, which is more than a client that is measured against it may lose.

use std::collections::BTreeMap;
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};

use tokio::sync::oneshot;
use tokio::time::Instant;

/// A thread that waits in real time. Clones share it; it ends with the last of them.
#[derive(Debug, Clone)]
pub(super) struct Timer(Sender<Alarm>);

#[derive(Debug)]
struct Alarm {
    at: Instant,
    wakes: oneshot::Sender<()>,
}

impl Timer {
    pub(super) fn start() -> io::Result<Self> {
        let (sender, alarms) = channel();
        std::thread::Builder::new()
            .name("timer".to_owned())
            .spawn(move || ring(&alarms))?;
        Ok(Self(sender))
    }

    /// Waits until then; not at all if that is past.
    pub(super) async fn wait_until(&self, at: Instant) {
        let (wakes, woken) = oneshot::channel();
        if self.0.send(Alarm { at, wakes }).is_ok() {
            // Fails only if the thread is gone, and then there is nothing to wait for.
            let _ = woken.await;
        }
    }
}

fn ring(alarms: &Receiver<Alarm>) {
    let mut pending = BTreeMap::new();
    for number in 0_u64.. {
        let next = match pending.first_key_value() {
            None => alarms.recv().map_err(RecvTimeoutError::from),
            Some(((at, _), _)) => {
                let at: &Instant = at;
                alarms.recv_timeout(at.saturating_duration_since(Instant::now()))
            }
        };
        match next {
            Ok(Alarm { at, wakes }) => {
                pending.insert((at, number), wakes);
            }
            Err(RecvTimeoutError::Timeout) => {
                if let Some((_, wakes)) = pending.pop_first() {
                    // Whoever waited may have given up.
                    let _ = wakes.send(());
                }
            }
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn nobody_is_woken_early() {
        let timer = Timer::start().unwrap();
        let start = Instant::now();
        let waits = [7_u64, 1, 4, 4].map(|ms| {
            let (timer, at) = (timer.clone(), start + Duration::from_millis(ms));
            async move {
                timer.wait_until(at).await;
                assert!(Instant::now() >= at);
                ms
            }
        });
        assert_eq!(futures::future::join_all(waits).await, [7, 1, 4, 4]);
        timer.wait_until(start).await;
    }
}
