//! DatabaseDesign: entities become tables, keys and foreign keys. The script is run on an empty SQLite before
//! it counts as a result: one row a table is written and read back, in the order of the references, and what a
//! constraint forbids is tried and has to be refused.

use rusqlite::types::Value as Sql;
use rusqlite::{Connection, ErrorCode, params_from_iter};
use serde_json::{Value, json};

use super::engine::render;
use super::entity::{Entities, Entity, Field, bad, refuse};
use super::task::{File, Task, files_value};
use crate::wire::Failure;

/// Where the script stands among a result's files.
pub(super) const SCHEMA_FILE: &str = "schema.sql";
/// An id that no row has: at the checks each table has one row, and its id is 1.
const NOBODY: i64 = 999_999_999;

pub(super) fn make(task: &Task) -> Result<Value, Failure> {
    let entities = task.needed_entities()?;
    let script = schema(&entities, &format!("{}: {}", task.name, task.description))?;
    let checked = check(&script, &entities)?;
    Ok(json!({
        "schema_type": "SQL",
        "sql_script": script,
        "tables": entities.0.iter().map(table).collect::<Vec<_>>(),
        "entities": entities.as_given(),
        "measurements": entities.0.iter().map(measure).collect::<Vec<_>>(),
        "checked": checked,
        "files": files_value(&[File::new(SCHEMA_FILE, script)]),
    }))
}

/// The script that makes the tables of `entities`, under a comment.
pub(super) fn schema(entities: &Entities, comment: &str) -> Result<String, Failure> {
    render("database/schema.sql", json!({ "entities": entities, "comment_lines": comment }))
}

fn table(entity: &Entity) -> Value {
    let column = |field: &Field| {
        json!({
            "name": field.column,
            "type": field.kind,
            "required": field.required,
            "unique": field.unique,
            "references": field.references.as_ref().map(|reference| &reference.table),
        })
    };
    json!({ "name": entity.table, "entity": entity.name, "columns": entity.fields.iter().map(column).collect::<Vec<_>>() })
}

fn measure(entity: &Entity) -> Value {
    let count = |what: fn(&&Field) -> bool| entity.fields.iter().filter(what).count();
    json!({
        "table": entity.table,
        "columns": entity.fields.len() + 1,
        "required": count(|field| field.required),
        "unique": count(|field| field.unique),
        "references": count(|field| field.references.is_some()),
    })
}

/// Runs the script, and says what was seen.
fn check(script: &str, entities: &Entities) -> Result<Value, Failure> {
    let broken = |error: rusqlite::Error| bad(format!("the schema does not work: {error}"));
    let connection = Connection::open_in_memory().map_err(broken)?;
    connection.pragma_update(None, "foreign_keys", true).map_err(broken)?;
    connection.execute_batch(script).map_err(broken)?;
    let mut refused = 0;
    for (position, entity) in entities.0.iter().enumerate() {
        let exists = |table: &str| entities.0[..position].iter().any(|earlier| earlier.table == table);
        // Two rows, so that a value can be taken; each refers to the rows of its own number.
        for number in [1, 2] {
            let row: Vec<Sql> = entity.fields.iter().map(|field| sample(field, number, &exists)).collect();
            insert(&connection, entity, &row).map_err(broken)?;
            read_back(&connection, entity, number, &row)?;
        }
        refused += constraints(&connection, entity, &exists)?;
    }
    let broken_keys: rusqlite::Result<i64> =
        connection.query_row("SELECT count(*) FROM pragma_foreign_key_check", [], |row| row.get(0));
    if broken_keys.map_err(broken)? != 0 {
        return refuse("the schema does not work: a reference leads nowhere");
    }
    Ok(json!({
        "engine": format!("SQLite {}", rusqlite::version()),
        "foreign_keys": true,
        "rows_written_and_read_back": 2 * entities.0.len(),
        "violations_refused": refused,
    }))
}

fn insert(connection: &Connection, entity: &Entity, row: &[Sql]) -> rusqlite::Result<()> {
    let columns: Vec<String> = entity.fields.iter().map(|field| format!("\"{}\"", field.column)).collect();
    let marks = vec!["?"; row.len()].join(", ");
    let sql = format!("INSERT INTO \"{}\" ({}) VALUES ({marks})", entity.table, columns.join(", "));
    connection.execute(&sql, params_from_iter(row)).map(|_| ())
}

fn read_back(connection: &Connection, entity: &Entity, id: i64, row: &[Sql]) -> Result<(), Failure> {
    let columns: Vec<String> = entity.fields.iter().map(|field| format!("\"{}\"", field.column)).collect();
    let sql = format!("SELECT {} FROM \"{}\" WHERE \"id\" = {id}", columns.join(", "), entity.table);
    let read: rusqlite::Result<Vec<Sql>> =
        connection.query_row(&sql, [], |found| (0..row.len()).map(|at| found.get(at)).collect());
    let read = read.map_err(|error| bad(format!("the row of `{}` does not come back: {error}", entity.table)))?;
    match read.iter().zip(row).zip(&entity.fields).find(|((read, written), _)| read != written) {
        None => Ok(()),
        Some((_, field)) => refuse(format!("`{}.{}` does not come back as it was written", entity.table, field.column)),
    }
}

/// Tries what each constraint forbids, one at a time and on a row that is good in all else; the number of
/// violations that were refused, which is all of them.
fn constraints(connection: &Connection, entity: &Entity, exists: &dyn Fn(&str) -> bool) -> Result<usize, Failure> {
    let mut refused = 0;
    for field in &entity.fields {
        let sql = format!("UPDATE \"{}\" SET \"{}\" = ? WHERE \"id\" = 2", entity.table, field.column);
        let taken = Some(sample(field, 1, exists)).filter(|value| field.unique && *value != Sql::Null);
        let forbidden = [
            ("a missing value", field.required.then_some(Sql::Null)),
            ("a value that is taken", taken),
            ("a reference to nothing", field.references.as_ref().map(|_| Sql::Integer(NOBODY))),
            ("nonsense", nonsense(field)),
        ];
        for (what, value) in forbidden {
            let Some(value) = value else { continue };
            match connection.execute(&sql, [value]) {
                Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => refused += 1,
                Err(error) => return refuse(format!("`{}.{}`: {what}: {error}", entity.table, field.column)),
                Ok(_) => return refuse(format!("`{}.{}` takes {what}", entity.table, field.column)),
            }
        }
    }
    Ok(refused)
}

/// A value that the field takes, another one for each `number`.
fn sample(field: &Field, number: i64, exists: &dyn Fn(&str) -> bool) -> Sql {
    match field.kind {
        "boolean" => Sql::Integer(number % 2),
        "date" => Sql::Text(format!("2026-03-{number:02}")),
        "datetime" => Sql::Text(format!("2026-03-{number:02}T12:00:00Z")),
        "decimal" => Sql::Real(number as f64 + 0.25),
        "number" => Sql::Real(number as f64 + 0.5),
        "integer" => Sql::Integer(number),
        "email" => Sql::Text(format!("{}{number}@example.com", field.name)),
        "uuid" => Sql::Text(format!("00000000-0000-4000-8000-{number:012}")),
        "reference" => match &field.references {
            Some(reference) if exists(&reference.table) => Sql::Integer(number),
            _ => Sql::Null,
        },
        _ => Sql::Text(format!("{} {number}", field.name)),
    }
}

/// A value that the field must not take.
fn nonsense(field: &Field) -> Option<Sql> {
    match field.kind {
        "boolean" => Some(Sql::Integer(2)),
        "date" => Some(Sql::Text("2026-02-31".into())),
        "datetime" | "decimal" | "number" | "integer" => Some(Sql::Text("soon".into())),
        "email" => Some(Sql::Text("nobody".into())),
        "uuid" => Some(Sql::Text("7".into())),
        "string" | "password" => Some(Sql::Text("x".repeat(256))),
        _ => None,
    }
}
