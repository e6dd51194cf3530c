//! Whether a plan can be carried out: its names, its numbers, its graph. Costs O(subtasks + dependencies), up
//! to the logarithm of a map, never panics, and never expands a `repeat`: it may be asked about plans that
//! came over the wire.

use std::collections::BTreeMap;

use super::bad_input::{BadInput, cut, quote};
use super::nearest;
use super::retry;
use crate::wire::address::check_skill;
use crate::wire::codec::{ENVELOPE_BYTES_MAX, check_value};
use crate::wire::{GoalPlan, Raw, SubtaskPlan};

/// Goals of a project: each phase is a message and a stream, and a goal a row on everybody's screen.
pub const GOALS_MAX: usize = 10_000;
/// Subtasks of a project, copies counted: the ordinals and counts of one phase stay far inside 32 bits.
pub const SUBTASKS_MAX: u32 = 1_000_000;
/// Dependencies between subtasks, copies counted: the edges of a graph that a coordinator holds in memory.
pub const DEPENDENCIES_MAX: u64 = 4_000_000;
/// What a phase's start says beside the goals that were asked for: who and where, and what a person has cancelled.
pub const START_ROOM: usize = 128 * 1024;
/// The goals of one phase, with the project's parameters and policy: they go out in one message.
pub const PHASE_BYTES_MAX: usize = ENVELOPE_BYTES_MAX - START_ROOM;
/// The last priority.
pub const PRIORITY_MAX: u32 = 1_000;
/// The longest name that a person may give, in bytes.
pub const NAME_BYTES_MAX: usize = 256;
/// A subtask that was named after its goal ("Execute <goal>") may be that much longer.
const SUBTASK_NAME_BYTES_MAX: usize = NAME_BYTES_MAX + "Execute ".len();
/// The longest that one attempt may run: 30 days.
pub const TIMEOUT_MS_MAX: u64 = 30 * 24 * 60 * 60 * 1_000;
/// More charged attempts than this are a mistake.
pub const ATTEMPTS_MAX: u32 = 1_000;
/// The longest wait between two attempts: a day.
pub const BACKOFF_MS_MAX: u64 = 24 * 60 * 60 * 1_000;
/// A wait that grows faster is a mistake.
pub const BACKOFF_FACTOR_MAX: u32 = 100;
/// This many names of a circle are printed.
const CIRCLE_NAMES_MAX: usize = 12;

/// Checks goals with what subtasks they have. A phase with a goal whose subtasks are not planned yet may
/// depend on names that are not there yet; everything else is checked all the same.
pub fn check(goals: &[GoalPlan]) -> Result<(), BadInput> {
    if goals.len() > GOALS_MAX {
        return Err(BadInput::new(format!("the plan has {} goals, the most is {GOALS_MAX}", goals.len())));
    }
    let mut names = BTreeMap::new();
    let mut phases: BTreeMap<u32, Vec<&GoalPlan>> = BTreeMap::new();
    let mut subtasks = 0u64;
    for goal in goals {
        check_goal(goal)?;
        if names.insert(goal.goal_name.as_str(), ()).is_some() {
            return Err(BadInput::new(format!("two goals are named {}", quote(&goal.goal_name))));
        }
        for subtask in goal.subtasks.iter().flatten() {
            check_subtask(subtask).map_err(|bad| bad.at(format_args!("goal {}", quote(&goal.goal_name))))?;
            subtasks += u64::from(subtask.copies());
        }
        phases.entry(goal.priority).or_default().push(goal);
    }
    if subtasks > u64::from(SUBTASKS_MAX) {
        return Err(BadInput::new(format!("the plan has {subtasks} subtasks, the most is {SUBTASKS_MAX}")));
    }
    phases.iter().try_for_each(|(priority, phase)| Graph::of(*priority, phase, goals)?.check())
}

/// Whether the start of each phase fits into a message, with so many bytes that all of them share.
pub fn check_sizes(goals: &[GoalPlan], shared: usize) -> Result<(), BadInput> {
    let mut phases: BTreeMap<u32, usize> = BTreeMap::new();
    for goal in goals {
        *phases.entry(goal.priority).or_insert(shared) += Raw::from_serialize(goal).map_or(0, |json| json.bytes());
    }
    match phases.into_iter().find(|(_, bytes)| *bytes > PHASE_BYTES_MAX) {
        None => Ok(()),
        Some((priority, bytes)) => Err(BadInput::new(format!(
            "the goals of priority {priority} and what all phases are told have {bytes} bytes, the most is {PHASE_BYTES_MAX}"
        ))),
    }
}

fn check_goal(goal: &GoalPlan) -> Result<(), BadInput> {
    check_name("goal", &goal.goal_name, NAME_BYTES_MAX)?;
    let place = || format!("goal {}", quote(&goal.goal_name));
    check_range("priority", u64::from(goal.priority), u64::from(PRIORITY_MAX)).map_err(|bad| bad.at(place()))?;
    check_text(&goal.description).map_err(|bad| bad.at(place()))?;
    check_input(goal.input.as_ref()).map_err(|bad| bad.at(place()))?;
    match &goal.input {
        Some(input) if !input.get().starts_with('{') => Err(BadInput::new("its `input` is no table").at(place())),
        _ => Ok(()),
    }
}

fn check_subtask(subtask: &SubtaskPlan) -> Result<(), BadInput> {
    check_name("subtask", &subtask.name, SUBTASK_NAME_BYTES_MAX)?;
    let numbers = || {
        check_skill(&subtask.skill).map_err(BadInput::new)?;
        check_text(&subtask.description)?;
        check_input(subtask.input.as_ref())?;
        check_range("repeat", subtask.copies().into(), u64::from(SUBTASKS_MAX))?;
        check_range("timeout", subtask.timeout_ms.unwrap_or(1), TIMEOUT_MS_MAX)?;
        check_range("max_attempts", u64::from(subtask.max_attempts.unwrap_or(1)), u64::from(ATTEMPTS_MAX))?;
        check_retry(subtask)?;
        check_run_after(subtask)
    };
    numbers().map_err(|bad| bad.at(format_args!("subtask {}", quote(&subtask.name))))
}

fn check_run_after(subtask: &SubtaskPlan) -> Result<(), BadInput> {
    match !subtask.run_after.is_success() && subtask.dependencies.is_empty() {
        true => Err(BadInput::new("it has a `run_after` and no `dependencies`")
            .or_else("name the subtasks whose end it waits for in `dependencies`")),
        false => Ok(()),
    }
}

fn check_retry(subtask: &SubtaskPlan) -> Result<(), BadInput> {
    check_range("queue_wait", subtask.queue_wait_ms.unwrap_or(1), TIMEOUT_MS_MAX)?;
    check_range("backoff", subtask.backoff_ms.unwrap_or(1), BACKOFF_MS_MAX)?;
    check_range("backoff_max", subtask.backoff_max_ms.unwrap_or(1), BACKOFF_MS_MAX)?;
    check_range("backoff_factor", subtask.backoff_factor.unwrap_or(1).into(), BACKOFF_FACTOR_MAX.into())?;
    let kinds = subtask.retry_on.iter().flatten().map(|kind| kind.as_str());
    retry::kinds(kinds).map(|_| ()).map_err(|bad| bad.at("its `retry_on`"))
}

/// Whether `name` can name a `what`: not empty, not too long, and on one line.
pub fn check_name(what: &str, name: &str, bytes_max: usize) -> Result<(), BadInput> {
    if name.trim().is_empty() {
        return Err(BadInput::new(format!("a {what} has an empty name")));
    }
    if name.len() > bytes_max {
        let bytes = name.len();
        return Err(BadInput::new(format!(
            "the name of {what} {} has {bytes} bytes, the most is {bytes_max}",
            quote(name)
        )));
    }
    match name.chars().find(|character| character.is_control()) {
        None => Ok(()),
        Some('\0') => Err(BadInput::new(format!("the name of {what} {} has a NUL character", quote(name)))),
        Some(_) => Err(BadInput::new(format!("the name of {what} {} has a control character", quote(name)))),
    }
}

fn check_text(text: &str) -> Result<(), BadInput> {
    match text.contains('\0') {
        true => Err(BadInput::new("its `description` has a NUL character")),
        false => Ok(()),
    }
}

fn check_input(input: Option<&Raw>) -> Result<(), BadInput> {
    let Some(input) = input else { return Ok(()) };
    check_value(input).map_err(|error| BadInput::new(format!("its `input` can not be sent: {error}")))
}

fn check_range(key: &str, value: u64, most: u64) -> Result<(), BadInput> {
    match (1..=most).contains(&value) {
        true => Ok(()),
        false => Err(BadInput::new(format!("its `{key}` is {value}, not from 1 to {most}"))),
    }
}

/// The subtasks of one phase by name.
struct Graph<'a> {
    nodes: Vec<(&'a GoalPlan, &'a SubtaskPlan)>,
    by_name: BTreeMap<&'a str, usize>,
    /// A goal of it has no subtasks yet.
    is_open: bool,
    priority: u32,
    project: &'a [GoalPlan],
}

impl<'a> Graph<'a> {
    fn of(priority: u32, phase: &[&'a GoalPlan], project: &'a [GoalPlan]) -> Result<Self, BadInput> {
        let is_open = phase.iter().any(|goal| goal.subtasks.is_none());
        let nodes: Vec<_> =
            phase.iter().flat_map(|goal| goal.subtasks.iter().flatten().map(|subtask| (*goal, subtask))).collect();
        let mut by_name = BTreeMap::new();
        for (at, (_, subtask)) in nodes.iter().enumerate() {
            if let Some(other) = by_name.insert(subtask.name.as_str(), at) {
                return Err(twice(priority, &subtask.name, nodes[other].0, nodes[at].0));
            }
        }
        Ok(Self { nodes, by_name, is_open, priority, project })
    }

    fn check(&self) -> Result<(), BadInput> {
        self.check_copies()?;
        let dependencies = self.dependencies()?;
        match self.circle(&dependencies) {
            Some(circle) => Err(self.print(&circle)),
            None => Ok(()),
        }
    }

    /// The third copy of `a` is named `a 3`: nobody else may be.
    fn check_copies(&self) -> Result<(), BadInput> {
        for (goal, subtask) in &self.nodes {
            if let Some(at) = self.is_a_copy(&subtask.name) {
                return Err(twice(self.priority, &subtask.name, self.nodes[at].0, goal)
                    .or_else(format!("{} repeats, and so names its copies", quote(&self.nodes[at].1.name))));
            }
        }
        Ok(())
    }

    /// The repeated subtask that has a copy of this name.
    fn is_a_copy(&self, name: &str) -> Option<usize> {
        let (stem, number) = name.rsplit_once(' ')?;
        let at = *self.by_name.get(stem)?;
        let repeat = u64::from(self.nodes[at].1.repeat?);
        let number: u64 = number.parse().ok().filter(|parsed: &u64| parsed.to_string() == number)?;
        (1..=repeat).contains(&number).then_some(at)
    }

    /// What each node depends on, as nodes.
    fn dependencies(&self) -> Result<Vec<Vec<usize>>, BadInput> {
        let mut all = Vec::with_capacity(self.nodes.len());
        let mut edges = 0u64;
        for (at, (goal, subtask)) in self.nodes.iter().enumerate() {
            let mut found = Vec::with_capacity(subtask.dependencies.len());
            for name in &subtask.dependencies {
                match self.by_name.get(name.as_str()) {
                    Some(&on) if on == at => return Err(self.bad(goal, subtask, "depends on itself")),
                    Some(&on) => found.push(on),
                    None if self.is_open => {}
                    None => return Err(self.missing(goal, subtask, name)),
                }
            }
            edges +=
                u64::from(subtask.copies()) * found.iter().map(|on| u64::from(self.nodes[*on].1.copies())).sum::<u64>();
            found.sort_unstable();
            if let Some(pair) = found.windows(2).find(|pair| pair[0] == pair[1]) {
                let twice = format!("names the dependency {} twice", quote(&self.nodes[pair[0]].1.name));
                return Err(self.bad(goal, subtask, &twice));
            }
            all.push(found);
        }
        match edges > DEPENDENCIES_MAX {
            true => Err(BadInput::new(format!(
                "the goals of priority {} have {edges} dependencies, the most is {DEPENDENCIES_MAX}",
                self.priority
            ))
            .or_else("put a subtask that collects between two that repeat")),
            false => Ok(all),
        }
    }

    fn bad(&self, goal: &GoalPlan, subtask: &SubtaskPlan, what: &str) -> BadInput {
        BadInput::new(format!("goal {}: subtask {} {what}", quote(&goal.goal_name), quote(&subtask.name)))
    }

    fn missing(&self, goal: &GoalPlan, subtask: &SubtaskPlan, name: &str) -> BadInput {
        let elsewhere = self.project.iter().find(|other| {
            other.priority != self.priority && other.subtasks.iter().flatten().any(|subtask| subtask.name == name)
        });
        if let Some(other) = elsewhere {
            let (goal_name, priority) = (quote(&other.goal_name), other.priority);
            let what = format!(
                "depends on {}, which is in another phase (goal {goal_name}, priority {priority}, not {})",
                quote(name),
                self.priority
            );
            let hint = match priority < self.priority {
                true => "goals of a lower priority number end before this one starts: leave the dependency out",
                false => "give both goals the same priority, or turn their order round",
            };
            return self.bad(goal, subtask, &what).or_else(hint);
        }
        let bad = self.bad(goal, subtask, &format!("depends on {}, which does not exist", quote(name)));
        match self.is_a_copy(name) {
            Some(at) => bad.or_else(format!("{} stands for all its copies", quote(&self.nodes[at].1.name))),
            None => bad.or_perhaps(self.meant(subtask, name)),
        }
    }

    /// What was probably meant by a name that nobody has: one of the phase, else one of another phase.
    fn meant(&self, subtask: &SubtaskPlan, name: &str) -> Option<String> {
        let here = self.by_name.keys().copied().filter(|known| *known != subtask.name);
        if nearest::nearest(name, here.clone()).is_none() {
            let elsewhere = self.project.iter().filter(|other| other.priority != self.priority);
            let all = elsewhere.flat_map(|other| other.subtasks.iter().flatten()).map(|other| other.name.as_str());
            if let Some(near) = nearest::nearest(name, all) {
                return Some(format!("did you mean {}? it is in another phase", quote(near)));
            }
        }
        nearest::hint(name, here)
    }

    /// The nodes that can never start: what is left when everything that can run has run.
    fn stuck(&self, dependencies: &[Vec<usize>]) -> Vec<bool> {
        let mut dependants = vec![Vec::new(); dependencies.len()];
        for (at, on) in dependencies.iter().enumerate() {
            on.iter().for_each(|on| dependants[*on].push(at));
        }
        let mut open: Vec<usize> = dependencies.iter().map(Vec::len).collect();
        let mut ready: Vec<usize> = (0..open.len()).filter(|at| open[*at] == 0).collect();
        while let Some(done) = ready.pop() {
            for &at in &dependants[done] {
                open[at] -= 1;
                if open[at] == 0 {
                    ready.push(at);
                }
            }
        }
        open.into_iter().map(|left| left > 0).collect()
    }

    /// A circle, found by going from a stuck node to a stuck node that it waits for until one comes again.
    fn circle(&self, dependencies: &[Vec<usize>]) -> Option<Vec<usize>> {
        let stuck = self.stuck(dependencies);
        let mut at = stuck.iter().position(|stuck| *stuck)?;
        let mut path = Vec::new();
        let mut step_of = vec![None; dependencies.len()];
        while step_of[at].is_none() {
            step_of[at] = Some(path.len());
            path.push(at);
            at = *dependencies[at].iter().find(|on| stuck[**on])?;
        }
        Some(path.split_off(step_of[at]?))
    }

    fn print(&self, circle: &[usize]) -> BadInput {
        let name = |at: &usize| cut(&self.nodes[*at].1.name);
        let mut names: Vec<String> = circle.iter().take(CIRCLE_NAMES_MAX).map(name).collect();
        if circle.len() > CIRCLE_NAMES_MAX {
            names.push(format!("({} more)", circle.len() - CIRCLE_NAMES_MAX));
        }
        names.extend(circle.first().map(name));
        BadInput::new(format!("subtasks depend on each other in a circle: `{}`", names.join(" -> ")))
    }
}

fn twice(priority: u32, name: &str, one: &GoalPlan, other: &GoalPlan) -> BadInput {
    let place = match one.goal_name == other.goal_name {
        true => format!("in goal {}", quote(&one.goal_name)),
        false => {
            format!("in goals {} and {}, both of priority {priority}", quote(&one.goal_name), quote(&other.goal_name))
        }
    };
    BadInput::new(format!("two subtasks are named {} {place}", quote(name)))
}

#[cfg(test)]
mod tests;
