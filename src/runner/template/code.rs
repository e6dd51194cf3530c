//! CodeGeneration: entities become Python modules over `schema.sql`, with the tests that go with them. A module
//! imports what its dependencies produced; all of it is carried on, so that every result can be run as it is.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::database::{SCHEMA_FILE, schema};
use super::engine::render;
use super::entity::{Entities, Entity, Field, bad, refuse, unknown};
use super::python::Unproven;
use super::task::{File, Task, files_value};
use crate::wire::Failure;

/// What can be generated, as `operation` of the input names it.
const OPERATIONS: [&str; 8] =
    ["deployment", "detail", "gateway", "listing", "login", "pages", "password_reset", "registration"];
const REPOSITORY: &str = "repository";

const RECORDS: &str = include_str!("../../../templates/code/records.py");
const SAMPLES: &str = include_str!("../../../templates/code/samples.py");

/// Values that no field of a type takes, for tests of what is sent away.
const NONSENSE: [(&str, &str); 11] = [
    ("boolean", "2"),
    ("date", "\"2026-02-31\""),
    ("datetime", "\"soon\""),
    ("decimal", "\"0.001\""),
    ("email", "\"nobody\""),
    ("integer", "\"7\""),
    ("number", "\"7\""),
    ("reference", "\"7\""),
    ("string", "7"),
    ("text", "7"),
    ("uuid", "\"7\""),
];

pub(super) fn make(task: &Task) -> Result<Unproven, Failure> {
    let entities = task.needed_entities()?;
    let operation = operation(task)?;
    let mut context = json!({
        "about": about(task),
        "title": task.project,
        "entities": entities,
        "operations": operations(task),
        "imports": modules(task).map(|(_, module)| module).collect::<Vec<_>>(),
    });
    let mut named_after = None;
    match operation {
        "registration" | "login" | "password_reset" => {
            let (entity, login, password) = account(task, &entities)?;
            named_after = Some(entity);
            context["entity"] = to_value(entity)?;
            context["login"] = to_value(login)?;
            context["password"] = to_value(password)?;
        }
        "listing" | "detail" | "gateway" => {
            let entity = chosen(task, &entities, |_| true)?;
            named_after = Some(entity);
            context["entity"] = to_value(entity)?;
        }
        _ => {}
    }
    for (key, needed) in needs(operation) {
        context[key] = module_of(task, operation, needed)?.into();
    }
    if operation == "gateway" {
        let nonsense = |(kind, text): (&str, &str)| Some((kind.to_owned(), serde_json::from_str(text).ok()?));
        context["nonsense"] = Value::Object(NONSENSE.into_iter().filter_map(nonsense).collect());
    }
    let module = match named_after {
        Some(entity) => format!("{}_{operation}", entity.name),
        None => operation.to_owned(),
    };
    context["module"] = module.as_str().into();
    let files = files(task, &entities, operation, &module, &context)?;
    Ok(Unproven {
        result: json!({
            "language": "Python",
            "operation": operation,
            "module": module,
            "built_on": operations(task),
            "code": files[0].text,
            "entities": entities.as_given(),
            "files": files_value(&files),
            "measurements": files.iter().map(measure).collect::<Vec<_>>(),
        }),
        files,
        module,
    })
}

/// The module and its tests first, then everything that they import or read.
fn files(
    task: &Task,
    entities: &Entities,
    operation: &str,
    module: &str,
    context: &Value,
) -> Result<Vec<File>, Failure> {
    let mut files = vec![
        File::new(format!("{module}.py"), render(&format!("code/{operation}.py"), context)?),
        File::new(format!("test_{module}.py"), render(&format!("code/test_{operation}.py"), context)?),
        File::new("model.py", render("code/model.py", json!({ "entities": entities }))?),
        File::new("records.py", RECORDS),
        File::new("samples.py", SAMPLES),
    ];
    // Tests stay with what they test.
    let tests: BTreeSet<String> = modules(task).map(|(_, module)| format!("test_{module}.py")).collect();
    for carried in task.dependency_files(&[".py", ".sql", ".json"])? {
        match files.iter().find(|file| file.path == carried.path) {
            None if tests.contains(&carried.path) => {}
            None => files.push(carried),
            Some(file) if file.text == carried.text => {}
            Some(_) => {
                return refuse(format!(
                    "a dependency has another `{}`: it was made from other entities, or twice",
                    carried.path
                ));
            }
        }
    }
    if !files.iter().any(|file| file.path == SCHEMA_FILE) {
        files.push(File::new(SCHEMA_FILE, schema(entities, "The tables of `model.py`.")?));
    }
    Ok(files)
}

fn operation(task: &Task) -> Result<&'static str, Failure> {
    let Some(named) = task.text("operation")? else { return Ok(REPOSITORY) };
    let known: Vec<&'static str> = OPERATIONS.into_iter().chain([REPOSITORY]).collect();
    known.iter().copied().find(|known| *known == named).ok_or_else(|| unknown("input `operation`:", named, &known))
}

/// Which operations of its dependencies a module imports, and by what name its template calls them.
fn needs(operation: &str) -> &'static [(&'static str, &'static str)] {
    match operation {
        "login" => &[("registration", "registration")],
        "password_reset" => &[("registration", "registration"), ("login_module", "login")],
        "detail" => &[("listing", "listing")],
        "pages" => &[("repository", REPOSITORY)],
        _ => &[],
    }
}

/// The operations and modules that the dependencies bring, those that they were built on included.
fn modules(task: &Task) -> impl Iterator<Item = (String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    for result in task.deps.values() {
        let own = result["operation"].as_str().zip(result["module"].as_str());
        let built_on = result["built_on"].as_object().into_iter().flatten();
        let built_on = built_on.filter_map(|(operation, module)| Some((operation.as_str(), module.as_str()?)));
        for (operation, module) in own.into_iter().chain(built_on) {
            if super::name::identifier("module", module).is_ok() && !found.iter().any(|(known, _)| known == operation) {
                found.push((operation.to_owned(), module.to_owned()));
            }
        }
    }
    found.into_iter()
}

fn operations(task: &Task) -> Value {
    Value::Object(modules(task).map(|(operation, module)| (operation, Value::from(module))).collect())
}

fn module_of(task: &Task, operation: &str, needed: &str) -> Result<String, Failure> {
    let found = modules(task).find(|(operation, _)| operation == needed).map(|(_, module)| module);
    found.ok_or_else(|| {
        bad(format!(
            "`{operation}` imports a `{needed}`, and no dependency brings one\nhint: depend on a subtask with the operation `{needed}`"
        ))
    })
}

/// The entity that the input names, else the first that fits.
fn chosen<'a>(task: &Task, entities: &'a Entities, fits: fn(&Entity) -> bool) -> Result<&'a Entity, Failure> {
    match task.text("entity")? {
        Some(name) => entities.named(name),
        None => entities.0.iter().find(|entity| fits(entity)).ok_or_else(|| bad("no entity fits; name one: `entity`")),
    }
}

/// Who can have an account: an entity with a password, and a unique text to be known by.
fn account<'a>(task: &Task, entities: &'a Entities) -> Result<(&'a Entity, &'a Field, &'a Field), Failure> {
    let has_password = |entity: &Entity| entity.fields.iter().any(|field| field.kind == "password");
    let entity = chosen(task, entities, has_password)?;
    let field = |what: &str, fits: fn(&&Field) -> bool| {
        let found = entity.fields.iter().find(fits);
        found.ok_or_else(|| bad(format!("entity `{}` has no {what}, so nobody can log in with it", entity.name)))
    };
    let login = field("unique required string or email", |field| {
        field.unique && field.required && matches!(field.kind, "string" | "text" | "email")
    })?;
    let password = field("password", |field| field.kind == "password")?;
    Ok((entity, login, password))
}

fn about(task: &Task) -> String {
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let (name, description) = (words(&task.name), words(&task.description));
    if description.is_empty() { format!("{name}.") } else { format!("{name}: {description}") }
}

fn measure(file: &File) -> Value {
    json!({ "path": file.path, "lines": file.text.lines().count(), "bytes": file.text.len() })
}

fn to_value(value: &impl serde::Serialize) -> Result<Value, Failure> {
    serde_json::to_value(value).map_err(|error| bad(error.to_string()))
}
