//! The subtasks of a phase that may run, in the order in which the dispatch window takes them: the longest
//! remaining path first, then first come, first served; but what was out before goes before what was not.
//!
//! Entering and leaving cost a search among the distinct path lengths that are ready at the time, never a
//! walk over the subtasks.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::expand::Span;

/// One queue a skill.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Ready {
    /// By skill; within it by remaining path, in subtasks.
    skills: Vec<BTreeMap<u32, Queue>>,
    len: u32,
}

/// Ordinals, as a snapshot has them: those that follow each other are written as the first and how many they are.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Vec<Span>", into = "Vec<Span>")]
struct Queue(VecDeque<u32>);

impl From<Queue> for Vec<Span> {
    fn from(Queue(mut ordinals): Queue) -> Self {
        let runs = ordinals.make_contiguous().chunk_by(|one, other| one.checked_add(1) == Some(*other));
        runs.map(|run| Span { first: run[0], count: u32::try_from(run.len()).unwrap_or(u32::MAX) }).collect()
    }
}

impl From<Vec<Span>> for Queue {
    fn from(spans: Vec<Span>) -> Self {
        Self(spans.into_iter().flat_map(|span| span.ordinals()).collect())
    }
}

impl Ready {
    pub fn len(&self) -> u32 {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub fn push(&mut self, skill: u32, remaining_path: u32, ordinal: u32) {
        self.queue(skill, remaining_path).push_back(ordinal);
    }

    /// One that was out before, and is to go out again at once.
    pub fn push_first(&mut self, skill: u32, remaining_path: u32, ordinal: u32) {
        self.queue(skill, remaining_path).push_front(ordinal);
    }

    /// The queue that one more goes into.
    fn queue(&mut self, skill: u32, remaining_path: u32) -> &mut VecDeque<u32> {
        self.len += 1;
        let skill = skill as usize;
        if self.skills.len() <= skill {
            self.skills.resize_with(skill + 1, BTreeMap::new);
        }
        &mut self.skills[skill].entry(remaining_path).or_default().0
    }

    /// Takes out one that was about to be dispatched. It is the first of its path in all orders that `walk`
    /// gives, so this does not search.
    pub fn remove(&mut self, skill: u32, remaining_path: u32, ordinal: u32) {
        let Some(paths) = self.skills.get_mut(skill as usize) else { return };
        let Some(Queue(queue)) = paths.get_mut(&remaining_path) else { return };
        if let Some(at) = queue.iter().position(|&other| other == ordinal) {
            queue.remove(at);
            self.len -= 1;
        }
        if queue.is_empty() {
            paths.remove(&remaining_path);
        }
    }

    /// The ready ones of a skill, in order.
    pub fn walk(&self, skill: u32) -> impl Iterator<Item = u32> + '_ {
        let queues = self.skills.get(skill as usize).into_iter().flat_map(|paths| paths.values().rev());
        queues.flat_map(|Queue(ordinals)| ordinals.iter().copied())
    }

    /// The skills that have some, with the remaining path of their first.
    pub fn skills(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        let first = |paths: &BTreeMap<u32, Queue>| paths.keys().next_back().copied();
        self.skills
            .iter()
            .enumerate()
            .filter_map(move |(skill, paths)| Some((u32::try_from(skill).ok()?, first(paths)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_has_neighbours_as_one() {
        let mut ready = Ready::default();
        (0..100_000).for_each(|ordinal| ready.push(0, 2, ordinal));
        ready.push_first(0, 2, 7);
        ready.push(1, 1, 5);
        let written = serde_json::to_string(&ready).expect("JSON");
        assert!(written.len() < 300, "{written}");
        assert_eq!(serde_json::from_str::<Ready>(&written).expect("the same"), ready);
    }

    #[test]
    fn the_longest_path_goes_first_and_equals_keep_their_order() {
        let mut ready = Ready::default();
        for (path, ordinal) in [(1, 10), (3, 11), (1, 12), (3, 13), (2, 14)] {
            ready.push(1, path, ordinal);
        }
        ready.push_first(1, 3, 15);
        assert_eq!(ready.walk(1).collect::<Vec<_>>(), [15, 11, 13, 14, 10, 12]);
        ready.remove(1, 3, 15);
        ready.push(0, 9, 1);
        assert_eq!(ready.walk(1).collect::<Vec<_>>(), [11, 13, 14, 10, 12]);
        assert_eq!(ready.skills().collect::<Vec<_>>(), [(0, 9), (1, 3)]);
        ready.remove(1, 3, 11);
        ready.remove(1, 3, 13);
        ready.remove(1, 3, 13);
        assert_eq!(ready.len(), 4);
        assert_eq!(ready.skills().collect::<Vec<_>>(), [(0, 9), (1, 2)]);
    }
}
