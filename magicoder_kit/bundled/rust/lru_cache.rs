use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::num::NonZeroUsize;

const NIL: usize = usize::MAX;

#[derive(Debug)]
struct Slot<K, V> {
    key: K,
    value: V,
    newer: usize,
    older: usize,
}

/// A map that holds at most `capacity` entries and drops the least recently used one first.
///
/// Entries live in one vector and are chained by index, so a hit costs one hash lookup
/// and a handful of writes, with no allocation.
#[derive(Debug)]
pub struct LruCache<K, V> {
    capacity: usize,
    index: HashMap<K, usize>,
    slots: Vec<Slot<K, V>>,
    newest: usize,
    oldest: usize,
}

impl<K: Hash + Eq + Clone, V> LruCache<K, V> {
    pub fn new(capacity: NonZeroUsize) -> Self {
        let capacity = capacity.get();
        LruCache {
            capacity,
            index: HashMap::with_capacity(capacity),
            slots: Vec::with_capacity(capacity),
            newest: NIL,
            oldest: NIL,
        }
    }

    pub fn len(&self) -> usize {
        self.slots.len()
    }

    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Looks up `key` and marks it as the most recently used entry.
    pub fn get<Q>(&mut self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let at = *self.index.get(key)?;
        self.touch(at);
        Some(&self.slots[at].value)
    }

    /// Looks up `key` without changing the eviction order.
    pub fn peek<Q>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.index.get(key).map(|&at| &self.slots[at].value)
    }

    /// Stores `value` and returns the entry it displaced: either the previous value of
    /// the same key or, when the cache was full, the least recently used entry.
    pub fn insert(&mut self, key: K, value: V) -> Option<(K, V)> {
        if let Some(&at) = self.index.get(&key) {
            self.touch(at);
            let previous = std::mem::replace(&mut self.slots[at].value, value);
            return Some((key, previous));
        }

        let slot = Slot { key: key.clone(), value, newer: NIL, older: NIL };
        if self.slots.len() < self.capacity {
            let at = self.slots.len();
            self.slots.push(slot);
            self.index.insert(key, at);
            self.link_newest(at);
            return None;
        }

        let at = self.oldest;
        self.unlink(at);
        let evicted = std::mem::replace(&mut self.slots[at], slot);
        self.index.remove(&evicted.key);
        self.index.insert(key, at);
        self.link_newest(at);
        Some((evicted.key, evicted.value))
    }

    /// Keys from the most to the least recently used.
    pub fn keys(&self) -> impl Iterator<Item = &K> + '_ {
        let first = self.slots.get(self.newest);
        std::iter::successors(first, |slot| self.slots.get(slot.older)).map(|slot| &slot.key)
    }

    fn touch(&mut self, at: usize) {
        if self.newest != at {
            self.unlink(at);
            self.link_newest(at);
        }
    }

    fn unlink(&mut self, at: usize) {
        let Slot { newer, older, .. } = self.slots[at];
        match self.slots.get_mut(newer) {
            Some(slot) => slot.older = older,
            None => self.newest = older,
        }
        match self.slots.get_mut(older) {
            Some(slot) => slot.newer = newer,
            None => self.oldest = newer,
        }
    }

    fn link_newest(&mut self, at: usize) {
        let previous = std::mem::replace(&mut self.newest, at);
        self.slots[at].newer = NIL;
        self.slots[at].older = previous;
        match self.slots.get_mut(previous) {
            Some(slot) => slot.newer = at,
            None => self.oldest = at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache(capacity: usize) -> LruCache<String, u32> {
        LruCache::new(NonZeroUsize::new(capacity).unwrap())
    }

    #[test]
    fn reading_an_entry_protects_it_from_eviction() {
        let mut tiles = cache(2);
        tiles.insert("north".into(), 1);
        tiles.insert("south".into(), 2);
        assert_eq!(tiles.get("north"), Some(&1));
        assert_eq!(tiles.insert("east".into(), 3), Some(("south".into(), 2)));
        assert_eq!(tiles.keys().collect::<Vec<_>>(), ["east", "north"]);
    }

    #[test]
    fn peeking_leaves_the_order_alone() {
        let mut tiles = cache(2);
        tiles.insert("north".into(), 1);
        tiles.insert("south".into(), 2);
        assert_eq!(tiles.peek("north"), Some(&1));
        assert_eq!(tiles.insert("east".into(), 3), Some(("north".into(), 1)));
    }
}
