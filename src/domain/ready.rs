//! The subtasks of a phase that may run, in the order in which the dispatch window takes them: the longest
//! remaining path first, then first come, first served; but what was out before goes before what was not.
//!
//! Entering and leaving cost a search among the distinct path lengths that are ready at the time, never a
//! walk over the subtasks.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

/// One queue a skill.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Ready {
    /// By skill; within it by remaining path, in subtasks.
    skills: Vec<BTreeMap<u32, VecDeque<u32>>>,
    len: u32,
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
        self.skills[skill].entry(remaining_path).or_default()
    }

    /// Takes out one that was about to be dispatched. It is the first of its path in all orders that `walk`
    /// gives, so this does not search.
    pub fn remove(&mut self, skill: u32, remaining_path: u32, ordinal: u32) {
        let Some(paths) = self.skills.get_mut(skill as usize) else { return };
        let Some(queue) = paths.get_mut(&remaining_path) else { return };
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
        self.skills.get(skill as usize).into_iter().flat_map(|paths| paths.values().rev().flatten().copied())
    }

    /// The skills that have some, with the remaining path of their first.
    pub fn skills(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        let first = |paths: &BTreeMap<u32, VecDeque<u32>>| paths.keys().next_back().copied();
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
