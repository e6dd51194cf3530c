//! What is kept of a phase in the one that takes its place: a completed subtask with the same name, skill and
//! input, all of whose dependencies are kept too, or were cancelled there and stay so.

use std::collections::{BTreeMap, BTreeSet};

use super::LeftOut;
use super::event::Kept;
use super::state::Phase;
use crate::domain::expand::{Spec, dependants, specs_of};
use crate::wire::content::Former;
use crate::wire::policy::OnFailure;
use crate::wire::{SubtaskId, SubtaskStatus};

/// What a new plan keeps of a former phase, and what of that which is left out has been settled there; what had ended there
/// before anybody heard that it was cancelled is not left out. Costs one visit a subtask and a dependency.
pub fn keep(old: &Phase, former: &Former, plan: &[Spec], left_out: &mut Vec<LeftOut>) -> Vec<Kept> {
    let mut unwanted: BTreeMap<u32, &mut LeftOut> = left_out.iter_mut().map(|out| (out.ordinal, out)).collect();
    let mut too_late = BTreeSet::new();
    let known: BTreeMap<String, u32> =
        (0u32..).zip(&old.subtasks).map(|(ordinal, _)| (old.spec(ordinal).name_of(ordinal), ordinal)).collect();
    let redone = former.redo.filter(|&ordinal| old.subtask(ordinal).is_some());
    let mut kept = Vec::new();
    // By spec of the plan: whether all its copies are kept.
    let mut is_whole = vec![false; plan.len()];
    for at in in_order(plan) {
        let spec = &plan[at];
        let depends_on_kept = spec.dependencies.iter().all(|span| specs_of(plan, *span).all(|other| is_whole[other]));
        let mut all = true;
        for ordinal in spec.span().ordinals() {
            let name = spec.name_of(ordinal);
            let named = known.get(&name).copied();
            // Of what was said later the former phase knows nothing.
            if let (Some(out), Some(other)) = (unwanted.get_mut(&ordinal), named) {
                if out.said_of <= former.phase && is_settled(old, other) {
                    out.is_settled = true;
                    continue;
                }
                if out.said_last <= former.phase && came_too_late(old, other, out.said_last < former.phase) {
                    too_late.insert(ordinal);
                }
            }
            let same = named.filter(|&other| is_same(old, other, spec, ordinal));
            let status = |other: u32| old.subtask(other).map(|subtask| subtask.status);
            match same.filter(|&other| status(other) == Some(SubtaskStatus::Completed)) {
                Some(other) if depends_on_kept && redone != Some(other) => {
                    let from = old.kept_from(other).unwrap_or_else(|| own(old, other));
                    kept.push(Kept { ordinal, from, bytes: old.subtasks[other as usize].bytes });
                    continue;
                }
                _ => all = false,
            }
        }
        is_whole[at] = all;
    }
    left_out.retain(|out| !too_late.contains(&out.ordinal));
    kept
}

/// It was cancelled by hand, and that had its consequences: where somebody is asked, when he has answered.
fn is_settled(old: &Phase, other: u32) -> bool {
    let is_over = match old.subtask(other).map(|subtask| subtask.status) {
        Some(SubtaskStatus::Cancelled) => old.policy.on_failure != OnFailure::Ask,
        status => status.is_some_and(SubtaskStatus::is_ended),
    };
    is_over && old.is_cancelled_by_hand(other)
}

/// It had ended of itself when the word came. A phase that was handed over after that, and has not cancelled it, knew so.
fn came_too_late(old: &Phase, other: u32, was_before: bool) -> bool {
    let status = old.subtask(other).map(|subtask| subtask.status).filter(|status| status.is_ended());
    let ended_of_itself = status.is_some_and(|status| status != SubtaskStatus::Cancelled);
    !old.is_cancelled_by_hand(other) && (was_before || ended_of_itself)
}

fn own(old: &Phase, ordinal: u32) -> SubtaskId {
    SubtaskId { phase: old.opened().map_or(0, |opened| opened.phase), ordinal }
}

fn is_same(old: &Phase, other: u32, spec: &Spec, ordinal: u32) -> bool {
    let theirs = old.spec(other);
    theirs.skill == spec.skill && theirs.input_of(other) == spec.input_of(ordinal)
}

/// The specs in an order in which each comes after what it depends on; those of a circle are left out.
fn in_order(plan: &[Spec]) -> Vec<usize> {
    let dependants = dependants(plan);
    let mut open: Vec<usize> = vec![0; plan.len()];
    dependants.iter().flatten().for_each(|&dependant| open[dependant as usize] += 1);
    let mut order: Vec<usize> = (0..plan.len()).filter(|&at| open[at] == 0).collect();
    let mut next = 0;
    while let Some(&at) = order.get(next) {
        for &dependant in &dependants[at] {
            open[dependant as usize] -= 1;
            if open[dependant as usize] == 0 {
                order.push(dependant as usize);
            }
        }
        next += 1;
    }
    order
}
