//! What a subtask is given: objects laid over each other, key by key and not deeper. Of two that have the same
//! key, the nearer to the subtask wins:
//!
//! ```text
//! playbook's parameters < project's parameters < playbook's goal < project's goal < subtask
//! ```

use std::collections::BTreeMap;

use crate::runtime::port::PlanError;
use crate::wire::{Raw, SubtaskPlan};

/// The input of every subtask of a goal, before it says anything itself. Values are carried, not looked into.
pub struct Base {
    keys: BTreeMap<String, Raw>,
    /// The same as one value, shared by all subtasks that add nothing.
    whole: Option<Raw>,
}

impl Base {
    /// Lays `layers` over each other, the first at the bottom.
    pub fn of<'a>(layers: impl IntoIterator<Item = Option<&'a Raw>>) -> Result<Self, PlanError> {
        let mut keys = BTreeMap::new();
        for layer in layers.into_iter().flatten() {
            let layer: BTreeMap<String, Raw> = layer
                .read()
                .map_err(|error| PlanError::new(format!("parameters and the input of a goal are objects: {error}")))?;
            keys.extend(layer);
        }
        let whole = if keys.is_empty() { None } else { Some(to_raw(&keys)?) };
        Ok(Self { keys, whole })
    }

    /// The subtasks with complete inputs.
    pub fn under(&self, subtasks: &[SubtaskPlan]) -> Result<Vec<SubtaskPlan>, PlanError> {
        subtasks.iter().map(|subtask| Ok(SubtaskPlan { input: self.input(subtask)?, ..subtask.clone() })).collect()
    }

    fn input(&self, subtask: &SubtaskPlan) -> Result<Option<Raw>, PlanError> {
        match &subtask.input {
            None => Ok(self.whole.clone()),
            Some(own) if self.keys.is_empty() || !own.get().starts_with('{') => Ok(Some(own.clone())),
            Some(own) => {
                let own: BTreeMap<String, Raw> =
                    own.read().map_err(|error| PlanError::new(format!("the input of `{}`: {error}", subtask.name)))?;
                let mut keys = self.keys.clone();
                keys.extend(own);
                to_raw(&keys).map(Some)
            }
        }
    }
}

fn to_raw(keys: &BTreeMap<String, Raw>) -> Result<Raw, PlanError> {
    Raw::from_serialize(keys).map_err(|error| PlanError::new(error.to_string()))
}
