//! What an attempt has to work with: its words, its input, and what its dependencies produced.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::entity::{Entities, bad, refuse};
use crate::wire::Failure;
use crate::wire::content::ExecuteSubtask;

pub(super) struct Task {
    pub project: String,
    pub goal: String,
    pub name: String,
    pub description: String,
    pub input: Map<String, Value>,
    /// The results of the direct dependencies by name.
    pub deps: Map<String, Value>,
}

/// A file of a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct File {
    /// Relative and clean.
    pub path: String,
    pub text: String,
    pub media_type: &'static str,
}

impl File {
    pub fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        let path = path.into();
        Self { media_type: media_type(&path), path, text: text.into() }
    }

    pub fn to_value(&self) -> Value {
        serde_json::json!({ "path": self.path, "media_type": self.media_type, "text": self.text })
    }
}

/// The `files` of a result.
pub(super) fn files_value(files: &[File]) -> Value {
    files.iter().map(File::to_value).collect()
}

fn media_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, ending)| ending) {
        Some("sql") => "application/sql",
        Some("py") => "text/x-python",
        Some("json") => "application/json",
        Some("csv") => "text/csv",
        Some("md") => "text/markdown",
        Some("html") => "text/html",
        _ => "text/plain",
    }
}

impl Task {
    pub fn read(command: &ExecuteSubtask) -> Result<Self, Failure> {
        let object = |what: &str, raw: &crate::wire::Raw| match raw.read::<Value>() {
            Ok(Value::Object(object)) => Ok(object),
            Ok(Value::Null) => Ok(Map::new()),
            Ok(_) => refuse(format!("{what} is no object")),
            Err(error) => refuse(format!("{what} is no JSON: {error}")),
        };
        let deps = object("deps", &command.deps)?;
        if let (Some(Value::String(_)), Some(Value::Number(bytes))) = (deps.get("reference"), deps.get("bytes")) {
            return refuse(format!(
                "the results of its dependencies have {bytes} bytes, more than travels with a command\nhint: depend on fewer, or on smaller ones"
            ));
        }
        Ok(Self {
            project: command.project_name.clone(),
            goal: command.goal_name.clone(),
            name: command.task_name.clone(),
            description: command.description.clone(),
            input: object("input", &command.input)?,
            deps,
        })
    }

    /// A text of the input.
    pub fn text(&self, key: &str) -> Result<Option<&str>, Failure> {
        match self.input.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => refuse(format!("input `{key}` is no text")),
        }
    }

    /// The entities of the input, else those that the dependencies were made from.
    pub fn entities(&self) -> Result<Option<Entities>, Failure> {
        if let Some(entities) = self.input.get("entities") {
            return Entities::read(entities, self.only()?.as_deref()).map(Some);
        }
        let mut all: Vec<Value> = Vec::new();
        for (dependency, result) in &self.deps {
            for entity in result.get("entities").and_then(Value::as_array).into_iter().flatten() {
                match all.iter().find(|known| known["name"] == entity["name"]) {
                    None => all.push(entity.clone()),
                    Some(known) if known == entity => {}
                    Some(_) => {
                        return refuse(format!(
                            "dependency `{dependency}` has another entity {} than the one before it",
                            entity["name"]
                        ));
                    }
                }
            }
        }
        if all.is_empty() {
            return Ok(None);
        }
        Entities::read(&Value::Array(all), self.only()?.as_deref()).map(Some)
    }

    /// The same where nothing can be done without them.
    pub fn needed_entities(&self) -> Result<Entities, Failure> {
        self.entities()?.ok_or_else(|| bad("input has no `entities`, and no dependency brings any"))
    }

    fn only(&self) -> Result<Option<Vec<String>>, Failure> {
        match self.input.get("only") {
            None | Some(Value::Null) => Ok(None),
            Some(only) => match serde_json::from_value(only.clone()) {
                Ok(names) => Ok(Some(names)),
                Err(_) => refuse("input `only` is no array of names of entities"),
            },
        }
    }

    /// The files of one dependency that are text, by path.
    pub fn files_of(&self, dependency: &str) -> Result<Vec<(String, String)>, Failure> {
        let files = self.deps.get(dependency).and_then(|result| result.get("files")).and_then(Value::as_array);
        let mut texts = Vec::new();
        for file in files.into_iter().flatten() {
            let path = file["path"].as_str().unwrap_or_default();
            if !is_clean(path) {
                return refuse(format!(
                    "dependency `{dependency}` has a file `{}`, which is no relative path",
                    path.escape_default()
                ));
            }
            texts.extend(text_of(file).map(|text| (path.to_owned(), text)));
        }
        Ok(texts)
    }

    /// The text files of all dependencies whose names end in one of these. The same path with two texts could
    /// not be laid side by side, and is refused.
    pub fn dependency_files(&self, endings: &[&str]) -> Result<Vec<File>, Failure> {
        let mut files: Vec<File> = Vec::new();
        for dependency in self.deps.keys() {
            for (path, text) in self.files_of(dependency)? {
                if !endings.iter().any(|ending| path.ends_with(ending)) {
                    continue;
                }
                match files.iter().find(|known| known.path == path) {
                    None => files.push(File::new(path, text)),
                    Some(known) if known.text == text => {}
                    Some(_) => return refuse(format!("two dependencies have a file `{path}`, and not the same one")),
                }
            }
        }
        Ok(files)
    }
}

fn text_of(file: &Value) -> Option<String> {
    match (file["text"].as_str(), file["base64"].as_str()) {
        (Some(text), _) => Some(text.to_owned()),
        (None, Some(encoded)) => String::from_utf8(STANDARD.decode(encoded).ok()?).ok(),
        (None, None) => None,
    }
}

/// Whether a path stays where it is put.
pub(super) fn is_clean(path: &str) -> bool {
    let part = |part: &str| !matches!(part, "" | "." | "..");
    path.split('/').all(part) && !path.contains(['\\', '\0']) && path.len() <= PATH_BYTES_MAX
}

/// The longest path of a file: what Linux takes as a whole, with room for the folder that it is put into.
const PATH_BYTES_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::runner::testing::assignment;
    use crate::wire::Raw;

    fn task(input: Value, deps: Value) -> Result<Task, Failure> {
        let mut assignment = assignment(input);
        assignment.command.deps = Raw::from(deps);
        Task::read(&assignment.command)
    }

    #[test]
    fn files_are_laid_side_by_side_when_they_can() {
        let file = |path: &str, text: &str| json!({ "files": [{ "path": path, "text": text }] });
        let deps = json!({ "a": file("x.py", "1"), "b": file("x.py", "1"), "c": { "files": [{ "path": "d/y.sql", "base64": "aGk=" }, { "path": "z.md", "text": "" }] } });
        let files = task(json!(null), deps).expect("task").dependency_files(&[".py", ".sql"]).expect("files");
        assert_eq!(files, [File::new("x.py", "1"), File::new("d/y.sql", "hi")]);
        let deps = json!({ "a": file("x.py", "1"), "b": file("x.py", "2") });
        assert!(task(json!(null), deps).expect("task").dependency_files(&[".py"]).is_err());
        for path in ["/x.py", "../x.py", "a/../x.py", "a//x.py", "./x.py", "a\\x.py", "a\0x.py"] {
            let refused = task(json!({}), json!({ "a": file(path, "1") })).expect("task").dependency_files(&[".py"]);
            assert!(refused.expect_err("refused").message.contains("no relative path"), "{path:?}");
        }
    }

    #[test]
    fn input_is_an_object_or_nothing() {
        assert!(task(json!([1]), json!({})).is_err());
        assert!(task(json!(null), json!(null)).is_ok());
    }

    #[test]
    fn entities_come_from_the_input_or_the_dependencies() {
        let ship = json!([{ "name": "ship", "fields": [{ "name": "name", "type": "string" }] }]);
        let other = json!([{ "name": "ship", "fields": [{ "name": "name", "type": "text" }] }]);
        let read = |input: Value, deps: Value| task(input, deps).expect("task").entities();
        assert_eq!(read(json!({ "entities": ship }), json!({})).expect("entities").expect("some").0.len(), 1);
        assert_eq!(read(json!({}), json!({ "a": { "entities": ship } })).expect("entities").expect("some").0.len(), 1);
        assert!(read(json!({}), json!({ "a": null })).expect("none").is_none());
        assert!(read(json!({}), json!({ "a": { "entities": ship }, "b": { "entities": other } })).is_err());
        assert!(read(json!({ "entities": ship, "only": "ship" }), json!({})).is_err());
    }
}
