//! An exchange: which queues a routing key leads to. It knows no messages.

use std::collections::{BTreeMap, BTreeSet};

use super::queue::QueueId;
use crate::runtime::port::ExchangeKind;

/// Bindings, by key or by pattern.
#[derive(Debug)]
pub(super) enum Routes {
    Direct(BTreeMap<String, BTreeSet<QueueId>>),
    Topic(Pattern),
}

impl Routes {
    pub(super) fn new(kind: ExchangeKind) -> Self {
        match kind {
            ExchangeKind::Direct => Self::Direct(BTreeMap::new()),
            ExchangeKind::Topic => Self::Topic(Pattern::default()),
        }
    }

    pub(super) fn kind(&self) -> ExchangeKind {
        match self {
            Self::Direct(_) => ExchangeKind::Direct,
            Self::Topic(_) => ExchangeKind::Topic,
        }
    }

    pub(super) fn bind(&mut self, key: &str, queue: QueueId) {
        match self {
            Self::Direct(keys) => keys.entry(key.to_owned()).or_default().insert(queue),
            Self::Topic(root) => words(key)
                .into_iter()
                .fold(root, |node, word| node.words.entry(word.to_owned()).or_default())
                .queues
                .insert(queue),
        };
    }

    /// Forgets every binding to `queue`.
    pub(super) fn unbind(&mut self, queue: QueueId) {
        match self {
            Self::Direct(keys) => keys.retain(|_, queues| {
                queues.remove(&queue);
                !queues.is_empty()
            }),
            Self::Topic(root) => {
                root.unbind(queue);
            }
        }
    }

    /// Adds the queues of `key` to `found`, perhaps some twice.
    pub(super) fn find(&self, key: &str, found: &mut Vec<QueueId>) {
        match self {
            Self::Direct(keys) => found.extend(keys.get(key).into_iter().flatten()),
            Self::Topic(root) => root.find(&words(key), found),
        }
    }
}

/// A tree of the bound patterns, word by word, so that a key is looked up without a look at every binding.
#[derive(Debug, Default)]
pub(super) struct Pattern {
    queues: BTreeSet<QueueId>,
    words: BTreeMap<String, Pattern>,
}

/// Stands for exactly one word.
const ONE: &str = "*";
/// Stands for any number of words, none too.
const ANY: &str = "#";

impl Pattern {
    fn find(&self, key: &[&str], found: &mut Vec<QueueId>) {
        if let Some(rest) = self.words.get(ANY) {
            (0..=key.len()).for_each(|skipped| rest.find(&key[skipped..], found));
        }
        let Some((word, rest)) = key.split_first() else {
            found.extend(&self.queues);
            return;
        };
        if let Some(one) = self.words.get(ONE) {
            one.find(rest, found);
        }
        if *word != ONE
            && *word != ANY
            && let Some(same) = self.words.get(*word)
        {
            same.find(rest, found);
        }
    }

    /// Says whether nothing is left here.
    fn unbind(&mut self, queue: QueueId) -> bool {
        self.queues.remove(&queue);
        self.words.retain(|_, node| !node.unbind(queue));
        self.queues.is_empty() && self.words.is_empty()
    }
}

fn words(key: &str) -> Vec<&str> {
    // An empty key has no word at all, and not one that is empty.
    if key.is_empty() { Vec::new() } else { key.split('.').collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(routes: &Routes, key: &str) -> Vec<u64> {
        let mut found = Vec::new();
        routes.find(key, &mut found);
        found.sort();
        found.dedup();
        found.into_iter().map(|QueueId(id)| id).collect()
    }

    #[test]
    fn a_topic_matches_words_and_any_number_of_them() {
        let mut routes = Routes::new(ExchangeKind::Topic);
        let patterns = ["a.b", "a.*", "*.b", "#", "a.#", "#.b", "a.#.b", "*", "", "a.*.#"];
        for (id, pattern) in (0..).zip(patterns) {
            routes.bind(pattern, QueueId(id));
        }
        assert_eq!(found(&routes, "a.b"), [0, 1, 2, 3, 4, 5, 6, 9]);
        assert_eq!(found(&routes, "a.x.y.b"), [3, 4, 5, 6, 9]);
        assert_eq!(found(&routes, "a"), [3, 4, 7]);
        assert_eq!(found(&routes, "b"), [3, 5, 7]);
        assert_eq!(found(&routes, ""), [3, 8]);
        assert_eq!(found(&routes, "a."), [1, 3, 4, 9]);
    }

    #[test]
    fn a_direct_key_is_taken_literally() {
        let mut routes = Routes::new(ExchangeKind::Direct);
        routes.bind("*", QueueId(1));
        routes.bind("a", QueueId(2));
        routes.bind("a", QueueId(3));
        assert_eq!(found(&routes, "a"), [2, 3]);
        assert_eq!(found(&routes, "b"), [0u64; 0]);
    }

    #[test]
    fn an_unbound_queue_leaves_nothing_behind() {
        for kind in [ExchangeKind::Direct, ExchangeKind::Topic] {
            let mut routes = Routes::new(kind);
            for key in ["a.b.c", "a.#", "*"] {
                routes.bind(key, QueueId(1));
            }
            routes.bind("a.b", QueueId(2));
            routes.unbind(QueueId(1));
            assert_eq!(found(&routes, "a.b.c"), [0u64; 0]);
            assert_eq!(found(&routes, "a.b"), [2]);
            routes.unbind(QueueId(2));
            match routes {
                Routes::Direct(keys) => assert!(keys.is_empty()),
                Routes::Topic(root) => assert!(root.words.is_empty() && root.queues.is_empty()),
            }
        }
    }
}
