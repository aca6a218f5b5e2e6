//! Work on all threads whose results come back in order, a bounded number at a time.

use crate::Result;
use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Duration;

/// Items under way for each thread: enough that no thread waits for one slow item, few enough that results stay small.
const PER_THREAD: usize = 4;
/// How long to sleep before looking again whether there is something to do.
const NAP: Duration = Duration::from_millis(2);

/// Results that wait for those before them; `None` where the work panicked.
struct Finished<T> {
    results: Mutex<BTreeMap<usize, Option<T>>>,
    changed: Condvar,
}

impl<T> Finished<T> {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<usize, Option<T>>> {
        self.results.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn put(&self, index: usize, result: Option<T>) {
        self.lock().insert(index, result);
        self.changed.notify_one();
    }
}

/// Tells that there will be no result, unless it is disarmed before it is dropped.
struct Unwinding<'a, T> {
    finished: &'a Finished<T>,
    index: Option<usize>,
}

impl<T> Drop for Unwinding<'_, T> {
    fn drop(&mut self) {
        if let Some(index) = self.index {
            self.finished.put(index, None);
        }
    }
}

/// Hands each item to `work` on some thread of the pool, and the results to `take` on this one, in the order of the items.
///
/// This thread works too where it belongs to the pool. When `take` fails, what is under way is finished and dropped.
pub(crate) fn in_order<I: Send, T: Send>(
    mut items: impl Iterator<Item = I>,
    work: impl Fn(I) -> T + Sync,
    mut take: impl FnMut(T) -> Result<()>,
) -> Result<()> {
    let most = PER_THREAD * rayon::current_num_threads();
    let finished = Finished { results: Mutex::new(BTreeMap::new()), changed: Condvar::new() };
    let (finished, work) = (&finished, &work);
    rayon::in_place_scope_fifo(|scope| {
        let (mut begun, mut taken) = (0, 0);
        loop {
            while begun < taken + most
                && let Some(item) = items.next()
            {
                let index = begun;
                scope.spawn_fifo(move |_| {
                    let mut unwinding = Unwinding { finished, index: Some(index) };
                    let result = work(item);
                    unwinding.index = None;
                    finished.put(index, Some(result));
                });
                begun += 1;
            }
            if taken == begun {
                return Ok(());
            }
            let ready = finished.lock().remove(&taken);
            match ready {
                Some(Some(result)) => take(result)?,
                // The scope passes the panic on.
                Some(None) => return Ok(()),
                None => {
                    help(finished, taken);
                    continue;
                }
            }
            taken += 1;
        }
    })
}

/// Works on something that waits, or sleeps until something was finished.
fn help<T>(finished: &Finished<T>, next: usize) {
    if let Some(rayon::Yield::Executed) = rayon::yield_now() {
        return;
    }
    let results = finished.lock();
    if !results.contains_key(&next) {
        // The wait is bounded: another thread may have begun something of which a part can be done here.
        drop(finished.changed.wait_timeout(results, NAP));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use rayon::prelude::*;

    fn run(threads: usize, count: u64) -> Vec<u64> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let mut taken = Vec::new();
        // Work that is itself spread over the pool must not lock it up.
        let work = |item: u64| (0..item % 97).into_par_iter().map(|part| part * item).sum::<u64>();
        pool.install(|| {
            in_order(0..count, work, |result| {
                taken.push(result);
                Ok(())
            })
        })
        .unwrap();
        taken
    }

    #[test]
    fn results_come_in_order_with_any_number_of_threads() {
        let expected = run(1, 500);
        assert_eq!(expected.len(), 500);
        assert!(run(2, 500) == expected && run(7, 500) == expected);
        assert!(run(3, 0).is_empty());
    }

    #[test]
    fn few_items_are_under_way_and_an_error_ends_the_work() {
        let begun = std::sync::atomic::AtomicUsize::new(0);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
        let result = pool.install(|| {
            in_order(
                0..10_000usize,
                |item| {
                    begun.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                    item
                },
                |item| match item {
                    5 => Err(crate::Error::Author { reason: "enough".to_string() }),
                    _ => Ok(()),
                },
            )
        });
        assert!(result.is_err());
        assert!(begun.into_inner() <= 5 + 2 * PER_THREAD + 1);
    }

    #[test]
    #[should_panic(expected = "bad item")]
    fn panic_of_the_work_is_passed_on() {
        let _ = in_order(0..100, |item| assert!(item != 50, "bad item"), |()| Ok(()));
    }
}
