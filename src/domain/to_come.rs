//! What is known of the subtasks of a phase that has not begun: what its goals say of them.

use std::ops::Range;

use crate::wire::{GoalPlan, SubtaskId};

/// The subtasks of a phase that has not begun, as far as its goals name them; planners name the others when it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToCome {
    phase: u32,
    named: Vec<Named>,
    /// Whether that is all of them.
    is_whole: bool,
}

/// A subtask of the plan, or its copies.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Named {
    name: String,
    /// None: a planner is still to say what comes before it.
    first: Option<u32>,
    /// How many copies there will be; they are numbered then.
    repeat: Option<u32>,
}

/// What a name means in a phase to come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meant {
    One(SubtaskId),
    /// All copies of one; each has a name of its own.
    Copies(u32),
    /// It will be there, and nobody can say under which id.
    Somewhere,
}

impl ToCome {
    pub fn new<'a>(phase: u32, goals: impl Iterator<Item = &'a GoalPlan>) -> Self {
        let (mut named, mut next) = (Vec::new(), Some(0u32));
        for goal in goals {
            for subtask in goal.subtasks.iter().flatten() {
                named.push(Named { name: subtask.name.clone(), first: next, repeat: subtask.repeat });
                next = next.and_then(|next| next.checked_add(subtask.copies()));
            }
            next = next.filter(|_| goal.subtasks.is_some());
        }
        Self { phase, named, is_whole: next.is_some() }
    }

    /// Whether there may be a subtask of this id.
    pub fn may_have(&self, id: SubtaskId) -> bool {
        let is_its = |named: &Named| named.ordinals().is_some_and(|ordinals| ordinals.contains(&id.ordinal));
        id.phase == self.phase && (!self.is_whole || self.named.iter().any(is_its))
    }

    /// The names in the plan; copies have one together.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.named.iter().map(|named| named.name.as_str())
    }

    /// What its goals call so.
    pub fn meant_by(&self, name: &str) -> Option<Meant> {
        self.named.iter().find_map(|named| named.meant_by(name, self.phase))
    }

    /// What its goals call the subtask of this ordinal, where that can be known.
    pub fn name_of(&self, ordinal: u32) -> Option<String> {
        self.named.iter().find_map(|named| named.name_of(ordinal))
    }
}

impl Named {
    fn ordinals(&self) -> Option<Range<u32>> {
        let first = self.first?;
        Some(first..first.saturating_add(self.repeat.unwrap_or(1)))
    }

    fn name_of(&self, ordinal: u32) -> Option<String> {
        let copy =
            ordinal.checked_sub(self.first?).filter(|_| self.ordinals().is_some_and(|all| all.contains(&ordinal)))?;
        Some(match self.repeat {
            None => self.name.clone(),
            Some(_) => format!("{} {}", self.name, copy + 1),
        })
    }

    fn meant_by(&self, name: &str, phase: u32) -> Option<Meant> {
        let one = |copy: u32| match self.first {
            Some(first) => Meant::One(SubtaskId { phase, ordinal: first.saturating_add(copy) }),
            None => Meant::Somewhere,
        };
        let copy = || {
            let number = name.strip_prefix(&*self.name)?.strip_prefix(' ')?;
            // As it will be written, and not otherwise: `x 03` may be the name of another one.
            number.parse::<u32>().ok().filter(|copy| copy.to_string() == number)
        };
        match self.repeat {
            None => (self.name == name).then(|| one(0)),
            Some(copies) if self.name == name => Some(Meant::Copies(copies)),
            Some(copies) => copy().filter(|copy| (1..=copies).contains(copy)).map(|copy| one(copy - 1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::expand::{SkillDefaults, expand};
    use crate::wire::SubtaskPlan;

    fn goal(goal_name: &str, subtasks: Option<&[(&str, Option<u32>)]>) -> GoalPlan {
        let plan = |&(name, repeat): &(&str, Option<u32>)| SubtaskPlan { repeat, ..SubtaskPlan::new(name, "noop") };
        let subtasks = subtasks.map(|subtasks| subtasks.iter().map(plan).collect());
        GoalPlan { goal_name: goal_name.into(), priority: 1, description: String::new(), input: None, subtasks }
    }

    fn one(ordinal: u32) -> Option<Meant> {
        Some(Meant::One(SubtaskId { phase: 3, ordinal }))
    }

    #[test]
    fn names_mean_what_the_phase_will_make_of_them() {
        let goals = [goal("A", Some(&[("a", None), ("c", Some(3))])), goal("B", Some(&[("b", None)]))];
        let to_come = ToCome::new(3, goals.iter());
        let specs = expand(&goals, &|_| Ok(SkillDefaults::new(1_000, 3))).expect("a good plan");
        for spec in &specs {
            for ordinal in spec.span().ordinals() {
                assert_eq!(to_come.meant_by(&spec.name_of(ordinal)), one(ordinal));
                assert_eq!(to_come.name_of(ordinal), Some(spec.name_of(ordinal)));
            }
        }
        assert_eq!(
            ["c", "c 0", "c 4", "c1", "d", "c 03", "c +3", "c  3"].map(|name| to_come.meant_by(name)),
            [Some(Meant::Copies(3)), None, None, None, None, None, None, None]
        );
        assert_eq!(to_come.name_of(5), None);
        let may_have = |phase, ordinal| to_come.may_have(SubtaskId { phase, ordinal });
        assert!(may_have(3, 0) && may_have(3, 4) && !may_have(3, 5) && !may_have(2, 0));
    }

    #[test]
    fn what_comes_after_a_goal_that_is_still_to_be_planned_has_no_id_yet() {
        let goals = [goal("A", Some(&[("a", None)])), goal("B", None), goal("C", Some(&[("c", None)]))];
        let to_come = ToCome::new(3, goals.iter());
        assert_eq!(["a", "c", "x"].map(|name| to_come.meant_by(name)), [one(0), Some(Meant::Somewhere), None]);
        assert_eq!([0, 1].map(|ordinal| to_come.name_of(ordinal)), [Some("a".to_owned()), None]);
        assert!(to_come.may_have(SubtaskId { phase: 3, ordinal: 99 }));
    }
}
