//! Reads in batches what is needed one by one.
//!
//! ECR takes 100 ids a call, and changes come one at a time. Whoever needs a key that was not read, or not lately
//! enough, reads it together with those that will be needed next; everybody else waits for that read or finds it
//! done.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// Keys that will be needed, in this order, and the values that were read.
pub(super) struct Lookahead<K, V> {
    state: Mutex<State<K, V>>,
    loaded: Notify,
}

struct State<K, V> {
    /// Keys that are still needed, by their place in line.
    upcoming: BTreeMap<usize, K>,
    needs: BTreeMap<K, Need>,
    values: BTreeMap<K, (Instant, V)>,
    loading: BTreeSet<K>,
}

/// How long a key is needed.
struct Need {
    place: usize,
    times: usize,
}

impl<K: Ord + Clone, V: Clone> Lookahead<K, V> {
    /// Nothing read yet; `upcoming` in the order in which the keys will be needed, as often as they will be.
    pub(super) fn new(upcoming: impl IntoIterator<Item = K>) -> Self {
        let mut needs: BTreeMap<K, Need> = BTreeMap::new();
        for (place, key) in upcoming.into_iter().enumerate() {
            needs.entry(key).or_insert(Need { place, times: 0 }).times += 1;
        }
        let state = State {
            upcoming: needs
                .iter()
                .map(|(key, need)| (need.place, key.clone()))
                .collect(),
            needs,
            values: BTreeMap::new(),
            loading: BTreeSet::new(),
        };
        Self {
            state: Mutex::new(state),
            loaded: Notify::new(),
        }
    }

    /// The value of a key, and when the call that read it was sent: not longer ago than `age_max`, or just now.
    ///
    /// `load` reads at most `batch` keys; of a key that it does not answer, `absent` is the value.
    pub(super) async fn get<E>(
        &self,
        key: &K,
        age_max: Duration,
        batch: usize,
        absent: V,
        load: impl AsyncFnOnce(Vec<K>) -> Result<BTreeMap<K, V>, E>,
    ) -> Result<(Instant, V), E> {
        let asked = loop {
            let loaded = self.loaded.notified();
            tokio::pin!(loaded);
            loaded.as_mut().enable();
            {
                let mut state = self.state();
                if let Some((at, value)) = state.values.get(key)
                    && at.elapsed() < age_max
                {
                    return Ok((*at, value.clone()));
                }
                if !state.loading.contains(key) {
                    let keys = state.next_batch(Some(key), age_max, batch);
                    break Asked {
                        lookahead: self,
                        keys,
                    };
                }
            }
            loaded.await;
        };
        let sent_at = Instant::now();
        let mut values = load(asked.keys.clone()).await?;
        for key in &asked.keys {
            values.entry(key.clone()).or_insert_with(|| absent.clone());
        }
        let value = values.get(key).cloned().unwrap_or(absent);
        asked.answer(sent_at, values);
        Ok((sent_at, value))
    }

    /// The keys that will be needed next and that nobody reads, at most so many, for a call that has room for them.
    ///
    /// Whoever needs one of them waits for the answer.
    pub(super) fn ask_along(&self, age_max: Duration, batch: usize) -> Asked<'_, K, V> {
        let keys = self.state().next_batch(None, age_max, batch);
        Asked {
            lookahead: self,
            keys,
        }
    }

    /// Forgets what was read, because it may have changed.
    pub(super) fn forget(&self, key: &K) {
        self.state().values.remove(key);
    }

    /// Notes that the key was used, and forgets it if it is not needed again.
    pub(super) fn finish(&self, key: &K) {
        let mut state = self.state();
        let Some(need) = state.needs.get_mut(key) else {
            return;
        };
        need.times -= 1;
        if need.times == 0 {
            let place = need.place;
            state.needs.remove(key);
            state.upcoming.remove(&place);
            state.values.remove(key);
        }
    }

    fn state(&self) -> MutexGuard<'_, State<K, V>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Ord + Clone, V> State<K, V> {
    fn next_batch(&mut self, first: Option<&K>, age_max: Duration, batch: usize) -> Vec<K> {
        let is_fresh = |at: &Instant| at.elapsed() < age_max;
        let next = self.upcoming.values().filter(|next| {
            let is_read = self.values.get(*next).is_some_and(|(at, _)| is_fresh(at));
            Some(*next) != first && !is_read && !self.loading.contains(*next)
        });
        let keys: Vec<K> = first.into_iter().chain(next).take(batch).cloned().collect();
        self.loading.extend(keys.iter().cloned());
        keys
    }
}

/// Keys that somebody reads; the read ends with it, also one that failed or was given up, so that nobody waits for it
/// for ever.
pub(super) struct Asked<'a, K: Ord + Clone, V: Clone> {
    lookahead: &'a Lookahead<K, V>,
    keys: Vec<K>,
}

impl<K: Ord + Clone, V: Clone> Asked<'_, K, V> {
    pub(super) fn keys(&self) -> &[K] {
        &self.keys
    }

    /// Notes what the call that was sent then has answered; a key without an answer is as if nobody had asked.
    pub(super) fn answer(self, sent_at: Instant, mut values: BTreeMap<K, V>) {
        let mut state = self.lookahead.state();
        for key in &self.keys {
            if let Some(value) = values.remove(key) {
                state.values.insert(key.clone(), (sent_at, value));
            }
        }
    }
}

impl<K: Ord + Clone, V: Clone> Drop for Asked<'_, K, V> {
    fn drop(&mut self) {
        let mut state = self.lookahead.state();
        for key in &self.keys {
            state.loading.remove(key);
        }
        drop(state);
        self.lookahead.loaded.notify_waiters();
    }
}
