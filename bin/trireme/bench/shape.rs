//! The shapes of work that a benchmark gives a team.

use std::collections::BTreeSet;

use serde::Serialize;
use trireme::wire::content::NewProject;
use trireme::wire::{GoalPlan, Raw, SubtaskPlan};

/// The subtasks of each project of `many`.
const PARALLEL: u32 = 10;
/// How many branches a node of a tree has.
const BRANCHES: usize = 10;
/// `random`: so many dependencies each, among so many before it, and so long at the most.
const DEPENDENCIES: usize = 2;
const AMONG: u64 = 100;
const LONGEST_MS: u64 = 50;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Shape {
    /// N parallel subtasks, and one that joins them
    Fanout,
    /// N in a row
    Chain,
    /// Ten branches at every node until N, then joined back
    Tree,
    /// Each after two of the hundred before it, 1 to 50 ms long
    Random,
    /// Projects of ten parallel subtasks
    Many,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Work {
    Noop,
    Sleep,
}

impl Work {
    pub fn skill(self) -> &'static str {
        match self {
            Self::Noop => "noop",
            Self::Sleep => "sleep",
        }
    }
}

/// What every subtask is to do.
#[derive(Debug, Clone, Copy)]
pub struct Task {
    pub work: Work,
    /// How long a sleep is.
    pub ms: u32,
    /// So many bytes travel with each command.
    pub payload: usize,
}

impl Task {
    fn plan(self, name: String, dependencies: Vec<String>, ms: u32) -> SubtaskPlan {
        let mut input = serde_json::Map::new();
        if self.work == Work::Sleep {
            input.insert("ms".into(), ms.into());
        }
        if self.payload > 0 {
            input.insert("payload".into(), "x".repeat(self.payload).into());
        }
        let input = (!input.is_empty()).then(|| Raw::from_serialize(&input).expect("texts are JSON"));
        SubtaskPlan { dependencies, input, ..SubtaskPlan::new(name, self.work.skill()) }
    }

    fn after(self, name: String, dependencies: Vec<String>) -> SubtaskPlan {
        self.plan(name, dependencies, self.ms)
    }
}

impl Shape {
    /// How many subtasks, where nobody says.
    pub fn subtasks(self) -> u32 {
        match self {
            Self::Fanout | Self::Many => 20_000,
            Self::Chain => 500,
            Self::Tree | Self::Random => 2_000,
        }
    }

    /// The requests of one run: about as many subtasks as that, in `projects` projects.
    pub fn requests(self, subtasks: u32, projects: Option<u32>, task: Task) -> Vec<NewProject> {
        let (projects, each) = match self {
            Self::Many => (projects.unwrap_or(subtasks.div_ceil(PARALLEL)), PARALLEL),
            _ => (projects.unwrap_or(1), subtasks),
        };
        let plan = match self {
            Self::Fanout => fanout(each, task),
            Self::Chain => chain(each, task),
            Self::Tree => tree(each as usize, task),
            Self::Random => random(each, task),
            Self::Many => vec![SubtaskPlan { repeat: Some(each), ..task.after("work".into(), Vec::new()) }],
        };
        let goal = GoalPlan {
            goal_name: "bench".into(),
            priority: 1,
            description: String::new(),
            input: None,
            subtasks: Some(plan),
        };
        (0..projects).map(|_| NewProject::planned("bench", vec![goal.clone()])).collect()
    }
}

/// How many subtasks there are in a request.
pub fn count(request: &NewProject) -> u32 {
    let subtasks = request.plan.iter().flatten().flat_map(|goal| goal.subtasks.iter().flatten());
    subtasks.map(SubtaskPlan::copies).sum()
}

fn fanout(count: u32, task: Task) -> Vec<SubtaskPlan> {
    let work = SubtaskPlan { repeat: Some(count), ..task.after("work".into(), Vec::new()) };
    vec![work, task.after("join".into(), vec!["work".into()])]
}

fn chain(count: u32, task: Task) -> Vec<SubtaskPlan> {
    let before = |at: u32| at.checked_sub(1).map(|before| format!("s{before}"));
    (0..count).map(|at| task.after(format!("s{at}"), before(at).into_iter().collect())).collect()
}

/// Nodes in the order of their levels, each after the one that it branches off; then, ten by ten, those that nothing
/// depends on are joined, until one is left.
fn tree(count: usize, task: Task) -> Vec<SubtaskPlan> {
    // A tenth of the leaves, and a tenth of those, and so on, join them.
    let nodes = (count * BRANCHES / (BRANCHES + 1)).max(1);
    let name = |at: usize| format!("s{at}");
    let branch = |at: usize| at.checked_sub(1).map(|at| name(at / BRANCHES)).into_iter().collect();
    let mut all: Vec<_> = (0..nodes).map(|at| task.after(name(at), branch(at))).collect();
    // Nodes whose first branch would come after the last one.
    let mut open: Vec<String> = (0..nodes).filter(|at| at * BRANCHES + 1 >= nodes).map(name).collect();
    while open.len() > 1 {
        let joins = open.chunks(BRANCHES).enumerate();
        let joins: Vec<_> = joins.map(|(at, some)| task.after(name(all.len() + at), some.to_vec())).collect();
        open = joins.iter().map(|join| join.name.clone()).collect();
        all.extend(joins);
    }
    all
}

/// The same graph each time.
fn random(count: u32, task: Task) -> Vec<SubtaskPlan> {
    let mut state = 1;
    let mut below = |bound: u64| splitmix(&mut state) % bound;
    let task = Task { work: Work::Sleep, ..task };
    let mut plan = |at: u32| {
        let reach = AMONG.min(at.into());
        let mut before = BTreeSet::new();
        while before.len() < DEPENDENCIES.min(at as usize) {
            before.insert(u64::from(at) - 1 - below(reach));
        }
        let ms = u32::try_from(1 + below(LONGEST_MS)).unwrap_or(1);
        task.plan(format!("s{at}"), before.into_iter().map(|at| format!("s{at}")).collect(), ms)
    };
    (0..count).map(&mut plan).collect()
}

/// <https://prng.di.unimi.it/splitmix64.c>
fn splitmix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use std::cmp::Reverse;
    use std::collections::{BTreeMap, BinaryHeap, VecDeque};

    use super::*;

    const TASK: Task = Task { work: Work::Noop, ms: 10, payload: 0 };

    fn subtasks(shape: Shape, count: u32) -> Vec<SubtaskPlan> {
        let request = shape.requests(count, None, TASK).remove(0);
        request.plan.expect("a plan").remove(0).subtasks.expect("subtasks")
    }

    #[test]
    fn every_shape_has_about_as_many_subtasks_as_were_asked_for() {
        for (shape, asked, there) in [
            (Shape::Fanout, 1_000, 1_001),
            (Shape::Chain, 500, 500),
            (Shape::Random, 2_000, 2_000),
            (Shape::Many, 2_000, 2_000),
        ] {
            let total: u32 = shape.requests(asked, None, TASK).iter().map(count).sum();
            assert_eq!(total, there, "{shape:?}");
        }
        let tree: u32 = Shape::Tree.requests(2_000, None, TASK).iter().map(count).sum();
        assert!((1_980..=2_020).contains(&tree), "{tree}");
        assert_eq!(Shape::Many.requests(2_000, Some(7), TASK).len(), 7);
    }

    #[test]
    fn whatever_is_depended_on_comes_first_and_one_comes_last() {
        for shape in [Shape::Fanout, Shape::Chain, Shape::Tree] {
            let all = subtasks(shape, 300);
            let mut before = BTreeSet::new();
            let mut needed = BTreeSet::new();
            for subtask in &all {
                assert!(subtask.dependencies.iter().all(|name| before.contains(name)), "{shape:?}: {subtask:?}");
                needed.extend(subtask.dependencies.iter().cloned());
                before.insert(subtask.name.clone());
            }
            let last = before.difference(&needed).count();
            assert_eq!(last, 1, "{shape:?}");
        }
    }

    #[test]
    fn a_random_graph_is_the_same_each_time() {
        let (one, other) = (subtasks(Shape::Random, 500), subtasks(Shape::Random, 500));
        assert_eq!(one, other);
        let with_two = one.iter().filter(|subtask| subtask.dependencies.len() == 2).count();
        assert_eq!(with_two, 498, "all but the first two");
        assert!(one.iter().all(|subtask| subtask.skill == "sleep"));
    }

    /// Eight slots, and whatever is ready first goes first: how long it takes, and how long it takes at least, in
    /// milliseconds: the work by the slots, or the longest way through it.
    fn first_come_first_served(all: &[SubtaskPlan], slots: u64) -> (u64, u64) {
        let ms = |subtask: &SubtaskPlan| {
            let input: serde_json::Value =
                serde_json::from_str(subtask.input.as_ref().expect("one").get()).expect("JSON");
            input["ms"].as_u64().expect("a number")
        };
        let place: BTreeMap<&str, usize> = all.iter().enumerate().map(|(at, subtask)| (&*subtask.name, at)).collect();
        let mut ways = vec![0; all.len()];
        let mut waiting: Vec<BTreeSet<usize>> =
            all.iter().map(|subtask| subtask.dependencies.iter().map(|name| place[&**name]).collect()).collect();
        let mut running = BinaryHeap::new();
        let mut ready: VecDeque<usize> = (0..all.len()).filter(|&at| waiting[at].is_empty()).collect();
        let (mut now, mut left) = (0, all.len());
        while left > 0 {
            while running.len() < usize::try_from(slots).expect("few")
                && let Some(at) = ready.pop_front()
            {
                running.push(Reverse((now + ms(&all[at]), at)));
            }
            let Some(Reverse((end, at))) = running.pop() else { panic!("nothing runs") };
            (now, left) = (end, left - 1);
            for (next, before) in waiting.iter_mut().enumerate() {
                if before.remove(&at) && before.is_empty() {
                    ready.push_back(next);
                }
            }
        }
        for (at, subtask) in all.iter().enumerate() {
            let before = subtask.dependencies.iter().map(|name| ways[place[&**name]]).max();
            ways[at] = before.unwrap_or(0) + ms(subtask);
        }
        let work: u64 = all.iter().map(ms).sum();
        (now, (work / slots).max(ways.into_iter().max().unwrap_or(0)))
    }

    #[test]
    fn no_order_gets_a_random_graph_done_much_sooner_than_first_come_first_served() {
        let (took, least) = first_come_first_served(&subtasks(Shape::Random, 2_000), 8);
        assert!(least <= took && took * 100 < least * 104, "{took} ms, and {least} ms at least");
    }
}
