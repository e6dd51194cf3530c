//! Projects whose every right answer is known beforehand: some shapes, each with its salt.

use std::collections::BTreeMap;

use trireme::wire::{GoalPlan, Raw, SubtaskPlan};

use crate::random::Random;
use crate::work::{self, Input};

/// The skills; the same program performs them.
pub const SKILLS: [&str; 2] = ["Row", "Bail"];
/// A subtask takes so long at the most: long enough to be killed in the middle.
const MS_MAX: u64 = 120;

/// One in so many takes much longer, so that executors are killed while programs of theirs run.
const LONG_ONE_IN: usize = 100;
const LONG_MS: u64 = 3_000;

/// A subtask as the checker knows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Known {
    pub priority: u32,
    /// By name, with the right value of each.
    pub deps: BTreeMap<String, String>,
    pub value: String,
}

/// A project's goals. Two phases, dependencies over goals, and a fan-out in most of them: the result of nearly every
/// subtask is handed to another, and of some to several.
pub fn plan(random: &mut Random) -> Vec<GoalPlan> {
    let skill = |random: &mut Random| SKILLS[random.below(SKILLS.len())];
    let width = 2 + random.below(4);
    let source = subtask("source", skill(random), &[], random);
    let mut many = subtask("many", skill(random), &["source"], random);
    many.repeat = Some(u32::try_from(width).unwrap_or(1));
    let other = subtask("other", skill(random), &["source"], random);
    let join = subtask("join", skill(random), &["many", "other"], random);
    let check = subtask("check", skill(random), &["many", "join"], random);
    let first = goal("fan", 1, vec![source, many]);
    let second = goal("join", 1, vec![other, join, check]);
    let last = goal(
        "after",
        2,
        vec![subtask("next", skill(random), &[], random), subtask("end", skill(random), &["next"], random)],
    );
    vec![first, second, last]
}

fn goal(name: &str, priority: u32, subtasks: Vec<SubtaskPlan>) -> GoalPlan {
    GoalPlan { goal_name: name.into(), priority, description: String::new(), input: None, subtasks: Some(subtasks) }
}

fn subtask(name: &str, skill: &str, dependencies: &[&str], random: &mut Random) -> SubtaskPlan {
    let ms = if random.below(LONG_ONE_IN) == 0 { LONG_MS } else { random.next() % MS_MAX };
    let input = Input { salt: random.next() >> 16, ms };
    SubtaskPlan {
        dependencies: dependencies.iter().map(|name| (*name).to_owned()).collect(),
        input: Raw::from_serialize(&input).ok(),
        ..SubtaskPlan::new(name, skill)
    }
}

/// Every subtask of a plan by its name, with its right value. Subtasks stand behind what they depend on.
pub fn known(plan: &[GoalPlan]) -> Result<BTreeMap<String, Known>, String> {
    let mut known: BTreeMap<String, Known> = BTreeMap::new();
    for goal in plan {
        for subtask in goal.subtasks.iter().flatten() {
            let input = subtask.input.as_ref().ok_or_else(|| format!("`{}` has no input", subtask.name))?;
            let input: Input = input.read().map_err(|error| format!("`{}`: {error}", subtask.name))?;
            let mut deps = BTreeMap::new();
            for named in &subtask.dependencies {
                let of = known.iter().filter(|(name, _)| is_copy(name, named));
                let values: Vec<_> = of.map(|(name, known)| (name.clone(), known.value.clone())).collect();
                if values.is_empty() {
                    return Err(format!("`{}` comes before `{named}`", subtask.name));
                }
                deps.extend(values);
            }
            for name in copies(subtask) {
                let pairs = deps.iter().map(|(name, value)| (name.as_str(), value.as_str()));
                let value = work::value(&name, &input, pairs);
                known.insert(name, Known { priority: goal.priority, deps: deps.clone(), value });
            }
        }
    }
    Ok(known)
}

fn copies(subtask: &SubtaskPlan) -> Vec<String> {
    match subtask.repeat {
        Some(count) => (1..=count).map(|number| format!("{} {number}", subtask.name)).collect(),
        None => vec![subtask.name.clone()],
    }
}

/// Whether `name` is `of`, or a copy of it.
fn is_copy(name: &str, of: &str) -> bool {
    let rest = name.strip_prefix(of).map(|rest| rest.strip_prefix(' '));
    name == of || rest.flatten().is_some_and(|number| number.parse::<u32>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_known_whole_and_depends_on_its_salt() {
        let (one, two) = (plan(&mut Random::new(1)), plan(&mut Random::new(2)));
        let known_one = known(&one).expect("known");
        assert_eq!(known_one, known(&plan(&mut Random::new(1))).expect("known"));
        assert_ne!(known_one["end"].value, known(&two).expect("known")["end"].value);
        let join = &known_one["join"];
        assert!(join.deps.contains_key("many 2") && join.deps.contains_key("other"), "{join:?}");
        assert!(known_one["check"].deps.contains_key("join"));
        assert_eq!((known_one["end"].priority, known_one["source"].priority), (2, 1));
    }
}
