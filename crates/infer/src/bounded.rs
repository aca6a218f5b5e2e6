//! A store that forgets what was not used for longest once it holds too much.

/// Values by key, at most `max_bytes` of them together; the newest stays even if it alone is larger.
#[derive(Debug)]
pub struct Bounded<K, V> {
    max_bytes: usize,
    /// Least recently used first. Few entries: a list beats a map with links.
    entries: Vec<Entry<K, V>>,
}

#[derive(Debug)]
struct Entry<K, V> {
    key: K,
    value: V,
    bytes: usize,
}

impl<K: PartialEq, V: Clone> Bounded<K, V> {
    /// An empty store.
    pub fn new(max_bytes: usize) -> Bounded<K, V> {
        Bounded { max_bytes, entries: Vec::new() }
    }

    /// The value under `key`, which counts as used now.
    pub fn get(&mut self, key: &K) -> Option<V> {
        let index = self.entries.iter().position(|entry| entry.key == *key)?;
        let entry = self.entries.remove(index);
        let value = entry.value.clone();
        self.entries.push(entry);
        Some(value)
    }

    /// Stores a value of the given size, and forgets the least recently used ones that no longer fit.
    pub fn insert(&mut self, key: K, value: V, bytes: usize) {
        self.entries.retain(|entry| entry.key != key);
        self.entries.push(Entry { key, value, bytes });
        let mut total: usize = self.entries.iter().map(|entry| entry.bytes).sum();
        while total > self.max_bytes && self.entries.len() > 1 {
            total -= self.entries.remove(0).bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recently_used_goes_first() {
        let mut store = Bounded::new(10);
        store.insert("a", 1, 4);
        store.insert("b", 2, 4);
        assert_eq!(store.get(&"a"), Some(1));
        store.insert("c", 3, 4);
        assert_eq!((store.get(&"a"), store.get(&"b"), store.get(&"c")), (Some(1), None, Some(3)));
        store.insert("c", 4, 2);
        assert_eq!((store.entries.len(), store.get(&"c")), (2, Some(4)));
    }

    #[test]
    fn the_newest_stays_even_if_it_is_too_large() {
        let mut store = Bounded::new(10);
        store.insert(1, "small", 1);
        store.insert(2, "large", 100);
        assert_eq!((store.get(&1), store.get(&2)), (None, Some("large")));
    }
}
