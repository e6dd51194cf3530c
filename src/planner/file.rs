//! Project files: what a user asks for, from a file to the request that goes over the wire.

use std::io::Read;
use std::path::Path;

use serde_json::{Map, Value};
use uuid::Uuid;

use super::document::{self, Format};
use super::policy;
use super::table::Table;
use crate::domain::bad_input::{BadInput, quote};
use crate::domain::check::{
    ATTEMPTS_MAX, BACKOFF_FACTOR_MAX, BACKOFF_MS_MAX, PRIORITY_MAX, SUBTASKS_MAX, TIMEOUT_MS_MAX, check, check_sizes,
};
use crate::domain::expand::{GENERIC_HINT, GENERIC_SKILL};
use crate::domain::nearest;
use crate::wire::content::NewProject;
use crate::wire::{
    Content, Envelope, GoalPlan, MessageId, MessageType, Policy, ProjectId, Raw, RunAfter, SubtaskPlan, Timestamp,
    address, codec,
};

const PROJECT_KEYS: [&str; 9] =
    ["name", "description", "id", "planner", "playbook", "parameters", "policy", "deadline", "goals"];
pub(super) const GOAL_KEYS: [&str; 5] = ["name", "priority", "description", "input", "subtasks"];
pub(super) const SUBTASK_KEYS: [&str; 15] = [
    "name",
    "skill",
    "type",
    "description",
    "dependencies",
    "input",
    "repeat",
    "timeout",
    "max_attempts",
    "backoff",
    "backoff_factor",
    "backoff_max",
    "retry_on",
    "queue_wait",
    "run_after",
];

/// A project as its file describes it: checked as far as it can be without knowing anything else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectFile {
    /// The same id twice is one project.
    pub id: Option<ProjectId>,
    pub name: String,
    pub description: String,
    pub planner: Option<String>,
    pub playbook: Option<String>,
    /// An object: defaults of every goal's input.
    pub parameters: Raw,
    /// What is to become of it when a subtask has failed for good.
    pub policy: Policy,
    /// How long a run may take.
    pub deadline_ms: Option<u64>,
    /// `None` when a planner is to say what the goals are.
    pub goals: Option<Vec<GoalPlan>>,
}

/// The names that a project file may refer to.
#[derive(Debug, Clone, Default)]
pub struct Known {
    pub playbooks: Vec<String>,
    /// The configured and the offered; `None` when that is not known.
    pub skills: Option<Vec<String>>,
}

impl ProjectFile {
    /// Reads a file; every complaint names it.
    pub fn read(path: &Path) -> Result<Self, BadInput> {
        let (text, name) = (document::read(path)?, path.display().to_string());
        Self::parse_text(&text, &name).map_err(|bad| bad.at(quote(&name)))
    }

    /// Reads a text in whichever form it is. A complaint about TOML that was not named so says that it was taken for it.
    fn parse_text(text: &str, name: &str) -> Result<Self, BadInput> {
        let format = Format::of(name, text);
        let is_guess = format == Format::Toml && !name.to_ascii_lowercase().ends_with(".toml");
        Self::parse(text, format).map_err(|bad| match is_guess && bad.hint().is_none() {
            true => bad.or_else("it was read as TOML; a project in JSON begins with `{`"),
            false => bad,
        })
    }

    /// Reads what is open already; every complaint calls it `name`.
    pub fn read_from(source: impl Read, name: &str) -> Result<Self, BadInput> {
        let text = document::read_from(source, name)?;
        Self::parse_text(&text, name).map_err(|bad| bad.at(name))
    }

    pub fn parse(text: &str, format: Format) -> Result<Self, BadInput> {
        let tree = document::parse(text, format)?;
        let table = Table::new("", &tree, &PROJECT_KEYS)?;
        let name = table.name("name", "project")?.ok_or_else(|| table.lacks("name"))?;
        let file = Self {
            id: read_id(&table)?,
            name: name.into(),
            description: table.text("description")?.unwrap_or_default().into(),
            planner: table.name("planner", "planner")?.map(Into::into),
            playbook: table.name("playbook", "playbook")?.map(Into::into),
            parameters: table.table("parameters")?.map_or_else(Raw::empty_object, raw),
            policy: policy::read(&table)?,
            deadline_ms: policy::read_deadline(&table)?,
            goals: read_goals(&table)?.filter(|goals| !goals.is_empty()),
        };
        file.check()
    }

    /// A project without a file: its goals are a planner's matter.
    pub fn named(name: &str, description: &str) -> Result<Self, BadInput> {
        let tree = Map::from_iter([("name".to_owned(), name.into()), ("description".to_owned(), description.into())]);
        let table = Table::new("", &tree, &PROJECT_KEYS)?;
        let file = Self {
            id: None,
            name: table.name("name", "project")?.unwrap_or_default().into(),
            description: description.into(),
            planner: None,
            playbook: None,
            parameters: Raw::empty_object(),
            policy: Policy::default(),
            deadline_ms: None,
            goals: None,
        };
        file.check()
    }

    fn check(self) -> Result<Self, BadInput> {
        let goals = self.goals.as_deref().unwrap_or_default();
        check(goals)?;
        if let Some(planner) = &self.planner {
            known("planner", planner, super::NAMES)?;
        }
        let envelope = Envelope {
            message_id: MessageId(Uuid::max()),
            sender_id: String::new(),
            receiver_id: address::PROJECT_KEY.into(),
            message_type: MessageType::Request,
            content: Content::NewProject(self.request()),
            timestamp: Timestamp::default(),
            task_id: ProjectId(Uuid::max()),
        };
        match codec::encode(&envelope) {
            // Its phases say a little more than it does.
            Ok(_) => check_sizes(goals, self.parameters.bytes()).map(|()| self),
            Err(error @ codec::EncodeError::TooBig { .. }) => Err(BadInput::new(format!("as a {error}"))
                .or_else("`repeat` on a subtask, or a playbook, keeps a large plan short")),
            Err(error) => Err(BadInput::new(format!("it can not be sent: {error}"))),
        }
    }

    /// Checks the names that it refers to.
    pub fn check_names(&self, names: &Known) -> Result<(), BadInput> {
        if let Some(playbook) = &self.playbook {
            known("playbook", playbook, names.playbooks.iter().map(String::as_str))?;
        }
        let Some(skills) = &names.skills else { return Ok(()) };
        for goal in self.goals.iter().flatten() {
            for subtask in goal.subtasks.iter().flatten() {
                known("skill", &subtask.skill, skills.iter().map(String::as_str)).map_err(|bad| {
                    let bad = if subtask.skill == GENERIC_SKILL { bad.or_else(GENERIC_HINT) } else { bad };
                    bad.at(format_args!("goal {}: subtask {}", quote(&goal.goal_name), quote(&subtask.name)))
                })?;
            }
        }
        Ok(())
    }

    /// The message that asks for it.
    pub fn request(&self) -> NewProject {
        NewProject {
            project_name: self.name.clone(),
            description: self.description.clone(),
            plan: self.goals.clone(),
            planner: self.planner.clone(),
            playbook: self.playbook.clone(),
            parameters: self.parameters.clone(),
            policy: policy::to_raw(self.policy),
            deadline_ms: self.deadline_ms,
        }
    }
}

/// Whether `name` is one of `all`; the nearest of them when it is not.
pub(super) fn known<'a>(
    what: &str,
    name: &str,
    all: impl IntoIterator<Item = &'a str> + Clone,
) -> Result<(), BadInput> {
    match all.clone().into_iter().any(|known| known == name) {
        true => Ok(()),
        false => Err(BadInput::new(format!("unknown {what} {}", quote(name))).or_perhaps(nearest::hint(name, all))),
    }
}

fn read_id(table: &Table<'_>) -> Result<Option<ProjectId>, BadInput> {
    let Some(id) = table.text("id")? else { return Ok(None) };
    match id.parse::<ProjectId>() {
        Ok(id) if !id.0.is_nil() => Ok(Some(id)),
        _ => Err(BadInput::new(format!("`id` is {}, not a UUID", quote(id)))
            .or_else("leave it out to be given one, or write one such as \"0b5e1a6e-7b1c-4a53-9d8e-2f1c3a4b5c6d\"")),
    }
}

pub(super) fn read_goals(table: &Table<'_>) -> Result<Option<Vec<GoalPlan>>, BadInput> {
    let Some(goals) = table.tables("goals")? else { return Ok(None) };
    goals.into_iter().enumerate().map(|(at, goal)| read_goal(at, goal)).collect::<Result<_, _>>().map(Some)
}

fn read_goal(at: usize, map: &Map<String, Value>) -> Result<GoalPlan, BadInput> {
    let place = called("goal", at, map);
    let table = Table::new(&place, map, &GOAL_KEYS)?;
    let name = table.name("name", "goal")?.ok_or_else(|| table.lacks("name"))?;
    let subtasks = table.tables("subtasks")?.map(|subtasks| {
        subtasks.into_iter().enumerate().map(|(at, subtask)| read_subtask(&place, at, subtask)).collect()
    });
    Ok(GoalPlan {
        goal_name: name.into(),
        priority: table.integer("priority", 1..=PRIORITY_MAX)?.unwrap_or(1),
        description: table.text("description")?.unwrap_or_default().into(),
        input: table.table("input")?.map(raw),
        subtasks: subtasks.transpose()?.filter(|subtasks: &Vec<_>| !subtasks.is_empty()),
    })
}

fn read_subtask(goal: &str, at: usize, map: &Map<String, Value>) -> Result<SubtaskPlan, BadInput> {
    let table = Table::new(format!("{} of {goal}", called("subtask", at, map)), map, &SUBTASK_KEYS)?;
    let name = table.name("name", "subtask")?.ok_or_else(|| table.lacks("name"))?;
    let skill = match (table.text("skill")?, table.text("type")?) {
        (Some(_), Some(_)) => {
            return Err(BadInput::new(format!("{goal}: subtask {} has both `skill` and `type`", quote(name)))
                .or_else("they mean the same: keep one"));
        }
        (Some(skill), None) | (None, Some(skill)) => skill,
        (None, None) => return Err(table.lacks("skill")),
    };
    Ok(SubtaskPlan {
        description: table.text("description")?.unwrap_or_default().into(),
        dependencies: table.texts("dependencies")?.into_iter().map(Into::into).collect(),
        input: table.table("input")?.map(raw),
        repeat: table.integer("repeat", 1..=SUBTASKS_MAX)?,
        timeout_ms: table.milliseconds("timeout", TIMEOUT_MS_MAX)?,
        max_attempts: table.integer("max_attempts", 1..=ATTEMPTS_MAX)?,
        queue_wait_ms: table.milliseconds("queue_wait", TIMEOUT_MS_MAX)?,
        backoff_ms: table.milliseconds("backoff", BACKOFF_MS_MAX)?,
        backoff_factor: table.integer("backoff_factor", 1..=BACKOFF_FACTOR_MAX)?,
        backoff_max_ms: table.milliseconds("backoff_max", BACKOFF_MS_MAX)?,
        retry_on: table.kinds("retry_on")?,
        run_after: read_run_after(&table)?,
        ..SubtaskPlan::new(name, skill)
    })
}

fn read_run_after(table: &Table<'_>) -> Result<RunAfter, BadInput> {
    let run_after = table.one_of("run_after", &RunAfter::NAMES, |name| match name {
        "failure" => RunAfter::Failure,
        "always" => RunAfter::Always,
        _ => RunAfter::Success,
    })?;
    Ok(run_after.unwrap_or_default())
}

/// How a part is called in a complaint: by its name, or by its number when it has none.
pub(super) fn called(what: &str, at: usize, map: &Map<String, Value>) -> String {
    match map.get("name").and_then(Value::as_str) {
        Some(name) => format!("{what} {}", quote(name)),
        None => format!("{what} {}", at + 1),
    }
}

pub(super) fn raw(map: &Map<String, Value>) -> Raw {
    Raw::from(Value::Object(map.clone()))
}

#[cfg(test)]
mod tests;
