//! Ends decoding processes whose time is over. One thread for all of them; it sleeps until the next one is due.

use std::collections::BTreeMap;
use std::process::Child;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// Watches any number of processes.
#[derive(Debug)]
pub(super) struct Watchdog {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

/// A process, and what is set when it was ended.
type Watched = (Arc<Mutex<Child>>, Arc<AtomicBool>);

#[derive(Debug, Default)]
struct State {
    /// By due time, and a number where two are due at once.
    watched: BTreeMap<(Instant, u64), Watched>,
    next_number: u64,
    is_over: bool,
}

/// While this lives, the process is ended when its time is over.
pub(super) struct Watch<'a> {
    shared: &'a Shared,
    key: (Instant, u64),
    fired: Arc<AtomicBool>,
}

impl Watchdog {
    /// Starts the thread.
    pub(super) fn start() -> std::io::Result<Watchdog> {
        let shared = Arc::new(Shared::default());
        let watching = shared.clone();
        std::thread::Builder::new().name("decode-watchdog".into()).spawn(move || watching.run())?;
        Ok(Watchdog { shared })
    }

    /// Ends `child` after `time`, unless the result is dropped before.
    pub(super) fn watch(&self, child: Arc<Mutex<Child>>, time: Duration) -> Watch<'_> {
        let fired = Arc::new(AtomicBool::new(false));
        let mut state = self.shared.lock();
        let key = (Instant::now() + time, state.next_number);
        state.next_number += 1;
        state.watched.insert(key, (child, fired.clone()));
        // The thread sleeps until the first is due; it must only know of an earlier one.
        if state.watched.first_key_value().is_some_and(|(first, _)| *first == key) {
            self.shared.changed.notify_one();
        }
        Watch { shared: &self.shared, key, fired }
    }
}

impl Watch<'_> {
    /// Whether the process was ended for its time.
    pub(super) fn has_fired(&self) -> bool {
        self.fired.load(Ordering::SeqCst)
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        self.shared.lock().watched.remove(&self.key);
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.shared.lock().is_over = true;
        self.shared.changed.notify_one();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn run(&self) {
        let mut state = self.lock();
        while !state.is_over {
            let now = Instant::now();
            let due = state.watched.first_key_value().map(|(key, _)| key.0);
            match due {
                Some(due) if due <= now => {
                    if let Some((_, (child, fired))) = state.watched.pop_first() {
                        fired.store(true, Ordering::SeqCst);
                        // One that has just ended by itself cannot be ended again, which is no failure.
                        let _ = child.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).kill();
                    }
                }
                _ => {
                    let time = due.map_or(Duration::from_secs(3600), |due| due - now);
                    state = match self.changed.wait_timeout(state, time) {
                        Ok((state, _)) => state,
                        Err(poisoned) => poisoned.into_inner().0,
                    };
                }
            }
        }
    }
}
