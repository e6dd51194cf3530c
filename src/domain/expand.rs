//! From a plan to the graph that a phase runs: specs, numbered, with their dependencies resolved.
//!
//! A spec is one subtask of the plan, or all copies of a repeated one. Copies have the same dependencies, so
//! the graph has one node for all of them: a fan-out of a million is two nodes and one edge.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::bad_input::quote;
use super::check::SUBTASKS_MAX;
use super::nearest;
use super::retry::Retry;
use crate::wire::{GoalPlan, Raw, RunAfter, SubtaskPlan};

/// The longest input of a subtask, in bytes: with the results of its dependencies it has to fit an envelope.
pub const INPUT_BYTES_MAX: usize = 512 * 1024;

/// The skill of the subtask that is made for a goal that nobody knows how to plan.
pub const GENERIC_SKILL: &str = "Generic";
/// What to do where nobody has that skill.
pub const GENERIC_HINT: &str = "no playbook plans it, and the generic plan needs a section `[skills.Generic]`: the \
                                queues.toml that ships has one";

/// One subtask of the plan, or all copies of a repeated one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spec {
    pub name: String,
    /// The goal's place in the phase.
    pub goal: u32,
    pub skill: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// The ordinal of its first copy.
    pub first: u32,
    /// How many copies; none when it is not repeated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copies: Option<u32>,
    /// In their order and apart from each other; of a spec they have all copies or none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dependencies: Vec<Span>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Raw>,
    pub timeout_ms: u64,
    pub max_attempts: u32,
    #[serde(default, skip_serializing_if = "Retry::is_default")]
    pub retry: Retry,
    /// How long it may wait in its skill's queue before that is charged; without it such waits are not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue_wait_ms: Option<u64>,
    /// Its executor accepts it, acks it, and is heard of at least this often.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_ms: Option<u64>,
    /// Who is asked when its skill has failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<Box<Fallback>>,
    /// How its dependencies have to end before it runs.
    #[serde(default, skip_serializing_if = "RunAfter::is_success")]
    pub run_after: RunAfter,
}

/// Another skill that is asked when the first has failed, with attempts of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fallback {
    /// After so many charged failures; without it, when all attempts are used up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<u32>,
    pub skill: String,
    pub timeout_ms: u64,
    pub max_attempts: u32,
    #[serde(default, skip_serializing_if = "Retry::is_default")]
    pub retry: Retry,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue_wait_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_ms: Option<u64>,
}

/// The terms of one attempt: those of the subtask's own skill, or of its fallback.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms<'a> {
    pub skill: &'a str,
    pub timeout_ms: u64,
    /// Charged failures that use it up.
    pub max_attempts: u32,
    pub retry: &'a Retry,
    pub queue_wait_ms: Option<u64>,
    pub lease_ms: Option<u64>,
}

impl Spec {
    /// The terms of its attempts, before it fell back or after.
    pub fn terms(&self, fell_back: bool) -> Terms<'_> {
        match self.fallback.as_deref().filter(|_| fell_back) {
            Some(fallback) => Terms {
                skill: &fallback.skill,
                timeout_ms: fallback.timeout_ms,
                max_attempts: fallback.max_attempts,
                retry: &fallback.retry,
                queue_wait_ms: fallback.queue_wait_ms,
                lease_ms: fallback.lease_ms,
            },
            None => Terms {
                skill: &self.skill,
                timeout_ms: self.timeout_ms,
                max_attempts: self.max_attempts,
                retry: &self.retry,
                queue_wait_ms: self.queue_wait_ms,
                lease_ms: self.lease_ms,
            },
        }
    }

    pub fn span(&self) -> Span {
        Span { first: self.first, count: self.copies.unwrap_or(1) }
    }

    /// Whether it runs although what it depends on has failed, and although its phase is failing.
    pub fn is_cleanup(&self) -> bool {
        !self.run_after.is_success()
    }

    /// The name of one of its copies.
    pub fn name_of(&self, ordinal: u32) -> String {
        match self.copies {
            None => self.name.clone(),
            Some(_) => copy_name(&self.name, ordinal - self.first + 1),
        }
    }

    /// What one of its copies is handed: the input of the plan, and for a copy its number, from 1.
    pub fn input_of(&self, ordinal: u32) -> Raw {
        match self.copies {
            None => self.input.clone().unwrap_or_default(),
            Some(_) => {
                let index = ordinal - self.first + 1;
                let input: Option<serde_json::Map<_, _>> = self.input.as_ref().and_then(|input| input.read().ok());
                match input {
                    None => Raw::from_serialize(&Numbered { index }).unwrap_or_default(),
                    Some(mut object) => {
                        object.insert("index".into(), index.into());
                        serde_json::Value::from(object).into()
                    }
                }
            }
        }
    }
}

/// The input of a copy where the plan has none.
#[derive(Serialize)]
struct Numbered {
    index: u32,
}

/// A dependency that is not in the phase, and the one of `known` that was probably meant.
fn missing<'a>(subtask: &SubtaskPlan, name: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    let others = known.filter(|known| *known != subtask.name);
    let hint = nearest::hint(name, others).map(|hint| format!(" ({hint})")).unwrap_or_default();
    format!("subtask {} depends on {}, which is not in its phase{hint}", quote(&subtask.name), quote(name))
}

fn copy_name(name: &str, number: u32) -> String {
    format!("{name} {number}")
}

/// Neighbouring ordinals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    pub first: u32,
    pub count: u32,
}

impl Span {
    pub fn ordinals(self) -> Range<u32> {
        self.first..self.first + self.count
    }
}

/// What a skill says of its subtasks that they do not say themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkillDefaults {
    pub timeout_ms: u64,
    pub max_attempts: u32,
    pub retry: Retry,
    pub queue_wait_ms: Option<u64>,
    pub lease_ms: Option<u64>,
    pub fallback: Option<Fallback>,
}

impl SkillDefaults {
    /// With these bounds, and nothing said beside them.
    pub fn new(timeout_ms: u64, max_attempts: u32) -> Self {
        Self { timeout_ms, max_attempts, retry: Retry::default(), queue_wait_ms: None, lease_ms: None, fallback: None }
    }
}

/// The specs of a phase whose goals all have their subtasks. Fails with one line for people: on a skill that
/// `defaults` does not know, a dependency that there is not, two of one name, and what is too big.
pub fn expand(
    goals: &[GoalPlan],
    defaults: &dyn Fn(&str) -> Result<SkillDefaults, String>,
) -> Result<Vec<Spec>, String> {
    let mut specs = Vec::new();
    let mut spans = BTreeMap::new();
    let mut next = 0u32;
    let planned = goals.iter().enumerate().flat_map(|(at, goal)| {
        goal.subtasks.iter().flatten().map(move |subtask| (u32::try_from(at).unwrap_or(u32::MAX), subtask))
    });
    for (goal, subtask) in planned.clone() {
        let spec = number(subtask, goal, next, defaults(&subtask.skill)?)?;
        next = next
            .checked_add(spec.span().count)
            .filter(|&next| next <= SUBTASKS_MAX)
            .ok_or_else(|| format!("the phase has more than {SUBTASKS_MAX} subtasks"))?;
        if spans.insert(subtask.name.as_str(), spec.span()).is_some() {
            return Err(format!("subtask `{}` is there twice in one phase", subtask.name));
        }
        specs.push(spec);
    }
    for ((_, subtask), spec) in planned.zip(&mut specs) {
        for name in &subtask.dependencies {
            let span = *spans.get(name.as_str()).ok_or_else(|| missing(subtask, name, spans.keys().copied()))?;
            if span == spec.span() {
                return Err(format!("subtask `{}` depends on itself", subtask.name));
            }
            spec.dependencies.push(span);
        }
        spec.dependencies = merged(std::mem::take(&mut spec.dependencies));
    }
    Ok(specs)
}

fn number(subtask: &SubtaskPlan, goal: u32, first: u32, defaults: SkillDefaults) -> Result<Spec, String> {
    let bytes = subtask.input.as_ref().map_or(0, Raw::bytes);
    if bytes > INPUT_BYTES_MAX {
        let name = &subtask.name;
        return Err(format!("the input of subtask `{name}` has {bytes} bytes, the cap is {INPUT_BYTES_MAX}"));
    }
    let is_object = |input: &Raw| input.read::<serde_json::Map<String, serde_json::Value>>().is_ok();
    if subtask.repeat == Some(0) {
        return Err(format!("subtask `{}` has `repeat = 0`", subtask.name));
    }
    if subtask.repeat.is_some() && !subtask.input.as_ref().is_none_or(is_object) {
        return Err(format!("subtask `{}` is repeated, so its input has to be an object", subtask.name));
    }
    Ok(Spec {
        name: subtask.name.clone(),
        goal,
        skill: subtask.skill.clone(),
        description: subtask.description.clone(),
        first,
        copies: subtask.repeat,
        dependencies: Vec::new(),
        input: subtask.input.clone(),
        timeout_ms: subtask.timeout_ms.unwrap_or(defaults.timeout_ms),
        max_attempts: subtask.max_attempts.unwrap_or(defaults.max_attempts).max(1),
        retry: Retry {
            first_ms: subtask.backoff_ms.unwrap_or(defaults.retry.first_ms),
            factor: subtask.backoff_factor.unwrap_or(defaults.retry.factor),
            max_ms: subtask.backoff_max_ms.unwrap_or(defaults.retry.max_ms),
            on: subtask.retry_on.clone().unwrap_or(defaults.retry.on),
        },
        queue_wait_ms: subtask.queue_wait_ms.or(defaults.queue_wait_ms),
        lease_ms: defaults.lease_ms,
        fallback: defaults.fallback.map(Box::new),
        run_after: subtask.run_after,
    })
}

/// The same ordinals, each once, in as few spans as can be: neighbours of the plan are one span.
fn merged(mut spans: Vec<Span>) -> Vec<Span> {
    spans.sort_by_key(|span| (span.first, span.count));
    let mut merged: Vec<Span> = Vec::with_capacity(spans.len());
    for span in spans {
        match merged.last_mut().filter(|last| span.first <= last.first + last.count) {
            Some(last) => last.count = last.count.max(span.first + span.count - last.first),
            None => merged.push(span),
        }
    }
    merged
}

/// The remaining path of each spec: how many subtasks, itself included, the longest chain of dependants has.
/// Fails on a circle, with the names on it. Costs one visit a spec and a dependency.
pub fn remaining_paths(specs: &[Spec], dependants: &[Vec<u32>]) -> Result<Vec<u32>, String> {
    let mut open: Vec<u32> = vec![0; specs.len()];
    for list in dependants {
        list.iter().for_each(|&dependant| open[dependant as usize] += 1);
    }
    let mut order: Vec<u32> = (0..).zip(&open).filter(|&(_, &open)| open == 0).map(|(at, _)| at).collect();
    let mut at = 0;
    while let Some(&spec) = order.get(at) {
        for &dependant in &dependants[spec as usize] {
            open[dependant as usize] -= 1;
            if open[dependant as usize] == 0 {
                order.push(dependant);
            }
        }
        at += 1;
    }
    if order.len() < specs.len() {
        let stuck = specs.iter().zip(&open).filter(|&(_, &open)| open > 0).take(8);
        let names: Vec<_> = stuck.map(|(spec, _)| format!("`{}`", spec.name)).collect();
        return Err(format!("subtasks depend on each other in a circle: {}", names.join(", ")));
    }
    let mut paths = vec![1u32; specs.len()];
    for &spec in order.iter().rev() {
        let longest = dependants[spec as usize].iter().map(|&dependant| paths[dependant as usize]).max();
        paths[spec as usize] = longest.unwrap_or(0) + 1;
    }
    Ok(paths)
}

/// For each spec, the specs that depend on it.
pub fn dependants(specs: &[Spec]) -> Vec<Vec<u32>> {
    let mut dependants = vec![Vec::new(); specs.len()];
    for (at, spec) in (0u32..).zip(specs) {
        for span in &spec.dependencies {
            dependants[specs_of(specs, *span)].iter_mut().for_each(|found| found.push(at));
        }
    }
    dependants
}

/// The specs whose copies `span` has. Specs are in the order of their ordinals, without gaps.
pub fn specs_of(specs: &[Spec], span: Span) -> Range<usize> {
    let before = |ordinal: u32| specs.partition_point(|spec| spec.first < ordinal);
    before(span.first)..before(span.first + span.count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn goal(subtasks: Vec<SubtaskPlan>) -> GoalPlan {
        GoalPlan {
            goal_name: "g".into(),
            priority: 1,
            description: String::new(),
            input: None,
            subtasks: Some(subtasks),
        }
    }

    fn subtask(name: &str, dependencies: &[&str], repeat: Option<u32>) -> SubtaskPlan {
        let dependencies = dependencies.iter().map(|&name| name.to_owned()).collect();
        SubtaskPlan { dependencies, repeat, ..SubtaskPlan::new(name, "noop") }
    }

    fn expanded(subtasks: Vec<SubtaskPlan>) -> Result<Vec<Spec>, String> {
        expand(&[goal(subtasks)], &|_| Ok(SkillDefaults::new(1_000, 3)))
    }

    #[test]
    fn a_fan_out_is_two_specs_and_one_edge() {
        let specs =
            expanded(vec![subtask("work", &[], Some(1_000)), subtask("join", &["work"], None)]).expect("a good plan");
        assert_eq!(specs[1].dependencies, [Span { first: 0, count: 1_000 }]);
        assert_eq!(specs[1].first, 1_000);
        let dependants = dependants(&specs);
        assert_eq!(dependants, [vec![1], vec![]]);
        assert_eq!(remaining_paths(&specs, &dependants).expect("a good plan"), [2, 1]);
        assert_eq!(specs[0].name_of(41), "work 42");
        assert_eq!(specs[0].input_of(41).get(), r#"{"index":42}"#);
    }

    #[test]
    fn neighbours_are_one_span_and_a_name_that_comes_twice_counts_once() {
        let plan = vec![
            subtask("a", &[], Some(3)),
            subtask("b", &[], None),
            subtask("gap", &[], None),
            subtask("c", &[], Some(2)),
            subtask("join", &["c", "b", "a", "b"], None),
        ];
        let specs = expanded(plan).expect("a good plan");
        assert_eq!(specs[4].dependencies, [Span { first: 0, count: 4 }, Span { first: 5, count: 2 }]);
        assert_eq!(dependants(&specs), [vec![4], vec![4], vec![], vec![4], vec![]]);
        assert_eq!(specs_of(&specs, Span { first: 0, count: 4 }), 0..2);
    }

    #[test]
    fn a_copy_is_named_by_its_number_and_told_it() {
        let plan = |input: &str| SubtaskPlan { input: Raw::parse(input).ok(), ..subtask("work", &[], Some(3)) };
        let specs = expanded(vec![subtask("first", &[], None), plan(r#"{"z":1,"index":9}"#)]).expect("a good plan");
        assert_eq!((specs[1].name_of(1), specs[1].name_of(3)), ("work 1".into(), "work 3".into()));
        let input: serde_json::Value = specs[1].input_of(2).read().expect("JSON");
        assert_eq!(input, serde_json::json!({"z": 1, "index": 2}));
        // What the number can not be put into is refused, not dropped.
        for bad in ["[]", "7", "null", r#"{"far": 1e999}"#] {
            assert!(expanded(vec![plan(bad)]).expect_err(bad).contains("has to be an object"), "{bad}");
        }
        let alone = SubtaskPlan { input: Raw::parse("[ 1 ]").ok(), ..subtask("alone", &[], None) };
        assert_eq!(expanded(vec![alone]).expect("a good plan")[0].input_of(0).get(), "[ 1 ]");
    }

    #[test]
    fn what_the_plan_leaves_open_is_the_skill_s() {
        let own = SubtaskPlan { timeout_ms: Some(5), max_attempts: Some(0), ..subtask("own", &[], None) };
        let specs = expanded(vec![own, subtask("none", &[], None)]).expect("a good plan");
        assert_eq!((specs[0].timeout_ms, specs[0].max_attempts), (5, 1));
        assert_eq!((specs[1].timeout_ms, specs[1].max_attempts), (1_000, 3));
        let unknown = expand(&[goal(vec![subtask("a", &[], None)])], &|skill| Err(format!("no {skill}")));
        assert_eq!(unknown, Err("no noop".into()));
    }

    #[test]
    fn what_can_not_be_run_is_refused_in_words() {
        let refused = |subtasks| expanded(subtasks).expect_err("a bad plan");
        let copy = refused(vec![subtask("a", &[], Some(3)), subtask("b", &["a 2"], None)]);
        assert!(copy.contains("`a 2`, which is not in its phase"), "{copy}");
        assert_eq!(
            refused(vec![subtask("join", &["alpa"], None), subtask("alpha", &[], None)]),
            "subtask `join` depends on `alpa`, which is not in its phase (did you mean `alpha`?)"
        );
        assert_eq!(
            refused(vec![subtask("join", &["zebra"], None), subtask("alpha", &[], None)]),
            "subtask `join` depends on `zebra`, which is not in its phase (known are `alpha`)"
        );
        assert!(refused(vec![subtask("a", &["a"], None)]).contains("depends on itself"));
        assert!(refused(vec![subtask("a", &[], None), subtask("a", &[], None)]).contains("there twice"));
        assert!(refused(vec![subtask("a", &[], Some(0))]).contains("repeat = 0"));
        assert!(refused(vec![subtask("a", &[], Some(u32::MAX))]).contains("more than"));
        let circle = expanded(vec![subtask("a", &["b"], None), subtask("b", &["a"], None)]).expect("a good plan");
        assert!(remaining_paths(&circle, &dependants(&circle)).expect_err("a circle").contains("circle: `a`, `b`"));
    }
}
