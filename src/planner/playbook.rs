//! A playbook: a plan for every project of some kind. Its file is a project file that says what it matches
//! instead of who it is for.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::document::{self, Format};
use super::file::{raw, read_goals};
use super::table::Table;
use crate::domain::BadInput;
use crate::domain::check::check;
use crate::wire::content::PlaybookRef;
use crate::wire::{GoalPlan, Raw};

const KEYS: [&str; 5] = ["name", "description", "match", "parameters", "goals"];
const MATCH_KEYS: [&str; 2] = ["any", "all"];

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Playbook {
    /// Its file's name without the `.toml`: what a project calls it by.
    pub name: String,
    /// The blake3 hash of its file, in hexadecimal.
    pub blake3: String,
    /// An object: what every project that it is used for begins with.
    pub parameters: Raw,
    pub goals: Vec<GoalPlan>,
    matches: Option<Match>,
}

/// Words and phrases, in lower case with single blanks.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Match {
    any: Vec<String>,
    all: Vec<String>,
}

impl Playbook {
    pub fn parse(name: &str, text: &str) -> Result<Self, BadInput> {
        let tree = document::parse(text, Format::Toml)?;
        let table = Table::new("", &tree, &KEYS)?;
        table.name("name", "playbook")?;
        table.text("description")?;
        let goals = read_goals(&table)?.filter(|goals| !goals.is_empty()).ok_or_else(|| table.lacks("goals"))?;
        check(&goals)?;
        Ok(Self {
            name: name.into(),
            blake3: blake3::hash(text.as_bytes()).to_hex().to_string(),
            parameters: table.table("parameters")?.map_or_else(Raw::empty_object, raw),
            goals,
            matches: table.table("match")?.map(Match::read).transpose()?,
        })
    }

    /// How it is named on the wire.
    pub fn reference(&self) -> PlaybookRef {
        PlaybookRef { name: self.name.clone(), blake3: self.blake3.clone() }
    }

    pub fn goal(&self, name: &str) -> Option<&GoalPlan> {
        self.goals.iter().find(|goal| goal.goal_name == name)
    }

    /// The goals without what the coordinator finds in its own copy, so that a phase is a small message.
    pub fn outline(&self) -> Vec<GoalPlan> {
        self.goals.iter().map(|goal| GoalPlan { input: None, subtasks: None, ..goal.clone() }).collect()
    }

    /// `goals` with the subtasks that it has for those which have none.
    pub fn filled(&self, goals: &[GoalPlan]) -> Vec<GoalPlan> {
        let by_name: BTreeMap<_, _> = self.goals.iter().map(|goal| (goal.goal_name.as_str(), goal)).collect();
        let own = |goal: &GoalPlan| by_name.get(goal.goal_name.as_str()).and_then(|own| own.subtasks.clone());
        goals
            .iter()
            .map(|goal| GoalPlan { subtasks: goal.subtasks.clone().or_else(|| own(goal)), ..goal.clone() })
            .collect()
    }

    /// How well it matches a [`plain`] description: the length of the longest phrase of it that occurs there,
    /// in characters.
    pub(super) fn matched(&self, description: &str) -> Option<usize> {
        let Match { any, all } = self.matches.as_ref()?;
        let occurs = |phrase: &&String| occurs(phrase, description);
        let does_match = all.iter().all(|phrase| occurs(&phrase)) && (any.is_empty() || any.iter().any(|p| occurs(&p)));
        let longest = any.iter().filter(occurs).chain(all).map(|phrase| phrase.chars().count()).max();
        longest.filter(|_| does_match)
    }
}

impl Match {
    fn read(map: &Map<String, Value>) -> Result<Self, BadInput> {
        let table = Table::new("`match`", map, &MATCH_KEYS)?;
        let phrases = |key| Ok(table.texts(key)?.into_iter().map(plain).collect::<Vec<_>>());
        let (any, all) = (phrases("any")?, phrases("all")?);
        if any.is_empty() && all.is_empty() {
            return Err(BadInput::new("`match` has neither `any` nor `all`")
                .or_else("leave `match` out, and the playbook is used when a project names it"));
        }
        match any.iter().chain(&all).any(String::is_empty) {
            true => Err(BadInput::new("`match` has an empty phrase")),
            false => Ok(Self { any, all }),
        }
    }
}

/// A text in lower case, with single blanks between its words.
pub(super) fn plain(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

/// Whether `phrase` occurs in `text` as whole words.
fn occurs(phrase: &str, text: &str) -> bool {
    text.match_indices(phrase).any(|(at, _)| {
        let (before, after) = (text[..at].chars().next_back(), text[at + phrase.len()..].chars().next());
        let (first, last) = (phrase.chars().next(), phrase.chars().next_back());
        let joined = |left, right| is_inside_a_word(left) && is_inside_a_word(right);
        !(joined(before, first) || joined(last, after))
    })
}

/// Letters of scripts that part words by blanks have a case; Chinese ones do not, and stand by themselves.
fn is_inside_a_word(character: Option<char>) -> bool {
    character.is_some_and(|c| c.is_lowercase() || c.is_uppercase() || c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn playbook(matches: &str) -> Playbook {
        Playbook::parse("x", &format!("match = {matches}\n[[goals]]\nname = 'One'\n")).expect("a playbook")
    }

    #[test]
    fn words_and_phrases_match_whatever_their_case_and_blanks() {
        let matched = |matches, description| playbook(matches).matched(&plain(description));
        assert_eq!(matched("{ any = ['E-Commerce Platform', 'shop'] }", "an e-commerce\n platform, a shop"), Some(19));
        assert_eq!(matched("{ any = ['shop'] }", "a workshop"), None);
        assert_eq!(matched("{ any = ['shop'] }", "a workshop (SHOP)"), Some(4));
        assert_eq!(matched("{ any = ['shop'] }", ""), None);
        assert_eq!(matched("{ any = ['电子商务'] }", "开发全栈电子商务平台"), Some(4));
        assert_eq!(matched("{ all = ['user', 'catalog'] }", "a user and a catalog"), Some(7));
        assert_eq!(matched("{ all = ['user', 'catalog'] }", "a user"), None);
        assert_eq!(matched("{ any = ['x', 'platform'], all = ['user'] }", "a user platform"), Some(8));
        assert_eq!(matched("{ any = ['x'], all = ['user'] }", "a user platform"), None);
    }

    #[test]
    fn a_bad_playbook_is_refused() {
        let refused = |text| Playbook::parse("x", text).expect_err("a bad playbook").in_one_line();
        assert_eq!(
            refused("match = {}\n[[goals]]\nname = 'a'"),
            "`match` has neither `any` nor `all` (leave `match` out, and the playbook is used when a project names it)"
        );
        assert_eq!(refused("match = { any = [' '] }\n[[goals]]\nname = 'a'"), "`match` has an empty phrase");
        assert_eq!(refused("match = { nay = ['a'] }"), "`goals` is missing");
        assert_eq!(
            refused("match = { nay = ['a'] }\n[[goals]]\nname = 'a'"),
            "unknown key `nay` in `match` (did you mean `any`?)"
        );
        assert_eq!(
            refused("id = 'a'\n"),
            "unknown key `id` (known are `name`, `description`, `match`, `parameters`, `goals`)"
        );
        assert_eq!(refused("goals = []"), "`goals` is missing");
    }
}
