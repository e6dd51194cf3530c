//! A template of your own: a file that ends in `.j2`, named by the settings and read when the worker starts. It
//! sees `project`, `goal`, `task`, `description`, `input`, `deps` and, where there are any, `entities`; what it
//! writes is the result's one file, under its own name without `.j2`.

use std::path::Path;

use minijinja::Environment;
use serde_json::{Value, json};

use super::engine::{environment, explain, rendered};
use super::entity::bad;
use super::task::{File, Task, files_value};
use crate::runner::options::BuildError;
use crate::wire::Failure;

pub(super) struct Own {
    environment: Environment<'static>,
    /// The name of the file that it makes.
    path: String,
}

const NAME: &str = "own";

impl Own {
    pub(super) fn read(path: &str) -> Result<Self, BuildError> {
        let bad = |message: String| BuildError::bad_option("template", message);
        let source = std::fs::read_to_string(path)
            .map_err(|error| bad(format!("template `{path}` can not be read: {error}")))?;
        let mut environment = environment();
        environment.add_template_owned(NAME, source).map_err(|error| bad(format!("`{path}`: {}", explain(&error))))?;
        let made = Path::new(path).file_stem().and_then(|stem| stem.to_str());
        Ok(Self { environment, path: made.filter(|made| !made.is_empty()).unwrap_or("text").to_owned() })
    }

    pub(super) fn make(&self, task: &Task) -> Result<Value, Failure> {
        let context = json!({
            "project": task.project,
            "goal": task.goal,
            "task": task.name,
            "description": task.description,
            "input": task.input,
            "deps": task.deps,
            "entities": task.entities()?,
        });
        let text = rendered(&self.environment, NAME, context)?;
        if self.path.ends_with(".json")
            && let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(&text)
        {
            return Err(bad(format!("`{}` came out as no JSON: {error}", self.path)));
        }
        Ok(json!({ "text": text, "files": files_value(&[File::new(&self.path, &text)]) }))
    }
}
