//! The entities that a goal carries: what there is, with which fields, and what refers to what.
//!
//! ```json
//! {"entities": [
//!     {"name": "harbour", "fields": [{"name": "name", "type": "string", "required": true, "unique": true}]},
//!     {"name": "ship", "fields": [{"name": "harbour", "references": "harbour", "required": true}]}
//! ]}
//! ```
//!
//! Every entity has an integer `id` of its own. They come from whoever submits a project: nothing of them
//! reaches a template unchecked.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::name::{camel, column, identifier, plural, snake};
use crate::runner::options::hint;
use crate::wire::Failure;

/// More than this makes no readable module, and SQLite has its own limit of columns behind it.
const ENTITIES_MAX: usize = 100;
const FIELDS_MAX: usize = 100;

/// What a field can hold.
pub(super) const TYPES: [&str; 12] = [
    "boolean",
    "date",
    "datetime",
    "decimal",
    "email",
    "integer",
    "number",
    "password",
    "reference",
    "string",
    "text",
    "uuid",
];

/// What is to be built about: checked, named for every language, and in the order of their references.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(transparent)]
pub(super) struct Entities(pub Vec<Entity>);

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Entity {
    /// `order_item`
    pub name: String,
    /// `OrderItem`
    pub class: String,
    /// `order_items`
    pub table: String,
    /// `ORDER_ITEMS`
    pub constant: String,
    pub fields: Vec<Field>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Field {
    /// As it was given.
    pub name: String,
    /// The name of its column: a password is kept as its hash only, and the column is called so.
    pub column: String,
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub required: bool,
    pub unique: bool,
    /// The entity that it refers to by `id`.
    pub references: Option<Reference>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Reference {
    pub name: String,
    pub class: String,
    pub table: String,
    pub constant: String,
}

impl Entities {
    /// Reads and checks `entities`. With `only`, just those and what they refer to.
    pub(super) fn read(entities: &Value, only: Option<&[String]>) -> Result<Self, Failure> {
        let Value::Array(given) = entities else {
            return refuse("`entities` is no array");
        };
        if given.is_empty() || given.len() > ENTITIES_MAX {
            return refuse(format!("`entities` has {} of them; 1 to {ENTITIES_MAX} are possible", given.len()));
        }
        let mut read = given.iter().map(Entity::read).collect::<Result<Vec<_>, _>>()?;
        names_are_apart(&read)?;
        resolve_references(&mut read)?;
        let read = match only {
            None => read,
            Some(only) => with_what_they_refer_to(read, only)?,
        };
        in_order(read).map(Self)
    }

    /// In the form that they are given in, so that a later subtask can read them.
    pub(super) fn as_given(&self) -> Value {
        let field = |field: &Field| {
            let mut given = serde_json::json!({
                "name": field.name, "type": field.kind, "required": field.required, "unique": field.unique,
            });
            if let Some(reference) = &field.references {
                given["references"] = reference.name.as_str().into();
            }
            given
        };
        let entity = |entity: &Entity| {
            let fields: Vec<Value> = entity.fields.iter().map(field).collect();
            serde_json::json!({ "name": entity.name, "table": entity.table, "fields": fields })
        };
        self.0.iter().map(entity).collect()
    }

    pub(super) fn named(&self, name: &str) -> Result<&Entity, Failure> {
        let known: Vec<&str> = self.0.iter().map(|entity| entity.name.as_str()).collect();
        let found = self.0.iter().find(|entity| entity.name == snake(name));
        found.ok_or_else(|| unknown("entity", name, &known))
    }
}

#[derive(Deserialize)]
struct GivenEntity {
    name: String,
    #[serde(default)]
    table: Option<String>,
    fields: Vec<Map<String, Value>>,
}

#[derive(Deserialize)]
struct GivenField {
    name: String,
    #[serde(rename = "type", default)]
    kind: Option<String>,
    #[serde(default)]
    required: bool,
    #[serde(default)]
    unique: bool,
    #[serde(default)]
    references: Option<String>,
}

impl Entity {
    fn read(given: &Value) -> Result<Self, Failure> {
        let Value::Object(keys) = given else {
            return refuse("an entity is no object");
        };
        only_known("an entity", keys, &["fields", "name", "table"])?;
        let given = GivenEntity::deserialize(given).map_err(|error| bad(format!("an entity: {error}")))?;
        let name = snake(&identifier("entity", &given.name)?);
        let table = column("table", &given.table.unwrap_or_else(|| plural(&name)))?.to_ascii_lowercase();
        let class = identifier("class", &camel(&name))?;
        if given.fields.len() > FIELDS_MAX {
            return refuse(format!("entity `{name}` has more than {FIELDS_MAX} fields"));
        }
        let mut fields = Vec::new();
        let mut columns = BTreeSet::from(["id".to_owned()]);
        for keys in given.fields {
            let Some(field) = Field::read(&name, keys)? else { continue };
            if !columns.insert(field.column.to_ascii_lowercase()) {
                return refuse(format!("entity `{name}` has the column `{}` twice", field.column));
            }
            fields.push(field);
        }
        if fields.is_empty() {
            return refuse(format!("entity `{name}` has no field beside `id`"));
        }
        Ok(Self { class, constant: table.to_ascii_uppercase(), name, table, fields })
    }

    fn refers_to(&self) -> impl Iterator<Item = (&str, bool)> {
        self.fields.iter().filter_map(|field| Some((field.references.as_ref()?.name.as_str(), field.required)))
    }
}

impl Field {
    /// `None` for an `id`, which every entity has.
    fn read(entity: &str, keys: Map<String, Value>) -> Result<Option<Self>, Failure> {
        let what = format!("a field of `{entity}`");
        only_known(&what, &keys, &["name", "references", "required", "type", "unique"])?;
        let given = GivenField::deserialize(Value::Object(keys)).map_err(|error| bad(format!("{what}: {error}")))?;
        let name = column(&format!("field of `{entity}`"), &given.name)?;
        let kind = match (given.kind.as_deref(), &given.references) {
            (None | Some("integer" | "reference"), Some(_)) => "reference",
            (Some("reference"), None) => return refuse(format!("field `{entity}.{name}` refers to nothing")),
            (Some(kind), Some(_)) => {
                return refuse(format!("field `{entity}.{name}` is of type `{kind}`, and a reference is an integer"));
            }
            (None, None) => return refuse(format!("field `{entity}.{name}` has no type")),
            (Some(kind), None) => match TYPES.into_iter().find(|known| *known == kind) {
                Some(known) => known,
                None => return Err(unknown(&format!("field `{entity}.{name}`: type"), kind, &TYPES)),
            },
        };
        if name.eq_ignore_ascii_case("id") {
            return match kind {
                "integer" => Ok(None),
                _ => refuse(format!("field `{entity}.id` is the key of its table, and an integer")),
            };
        }
        if kind == "password" && given.unique {
            return refuse(format!("field `{entity}.{name}`: a password is kept as a hash, which can not be unique"));
        }
        let column = if kind == "password" && !name.ends_with("_hash") { format!("{name}_hash") } else { name.clone() };
        let references = given.references.map(|name| Reference {
            name: snake(&name),
            class: String::new(),
            table: String::new(),
            constant: String::new(),
        });
        Ok(Some(Self { name, column, kind, required: given.required, unique: given.unique, references }))
    }
}

/// Tables, classes and constants share a module: none may be called like another.
fn names_are_apart(entities: &[Entity]) -> Result<(), Failure> {
    let mut taken = BTreeSet::new();
    for entity in entities {
        for name in BTreeSet::from([&entity.class, &entity.constant]) {
            if !taken.insert(name) {
                return refuse(format!("entity `{}` would be called `{name}`, like another one", entity.name));
            }
        }
    }
    Ok(())
}

fn resolve_references(entities: &mut [Entity]) -> Result<(), Failure> {
    let all = entities.to_vec();
    let known: Vec<&str> = all.iter().map(|entity| entity.name.as_str()).collect();
    for entity in entities {
        for field in &mut entity.fields {
            let Some(reference) = &mut field.references else { continue };
            let Some(target) = all.iter().find(|candidate| candidate.name == reference.name) else {
                let what = format!("field `{}.{}`: entity", entity.name, field.name);
                return Err(unknown(&what, &reference.name, &known));
            };
            reference.class.clone_from(&target.class);
            reference.table.clone_from(&target.table);
            reference.constant.clone_from(&target.constant);
        }
    }
    Ok(())
}

fn with_what_they_refer_to(entities: Vec<Entity>, only: &[String]) -> Result<Vec<Entity>, Failure> {
    let known: Vec<&str> = entities.iter().map(|entity| entity.name.as_str()).collect();
    let mut wanted = BTreeSet::new();
    let mut open: Vec<String> = only.iter().map(|name| snake(name)).collect();
    while let Some(name) = open.pop() {
        let Some(entity) = entities.iter().find(|entity| entity.name == name) else {
            return Err(unknown("`only`: entity", &name, &known));
        };
        if wanted.insert(name) {
            open.extend(entity.refers_to().map(|(name, _)| name.to_owned()));
        }
    }
    Ok(entities.into_iter().filter(|entity| wanted.contains(&entity.name)).collect())
}

/// Each after what it refers to, else in the order given. In a circle an optional reference gives way; a circle
/// of required ones has no first row.
fn in_order(mut left: Vec<Entity>) -> Result<Vec<Entity>, Failure> {
    let mut placed: Vec<Entity> = Vec::with_capacity(left.len());
    while !left.is_empty() {
        let waits = |entity: &Entity, even_for_optional: bool| {
            entity.refers_to().any(|(name, required)| {
                (required || even_for_optional && name != entity.name)
                    && !placed.iter().any(|earlier| earlier.name == name)
            })
        };
        let next = left.iter().position(|entity| !waits(entity, true));
        let next = next.or_else(|| left.iter().position(|entity| !waits(entity, false)));
        let Some(next) = next else {
            let circle: Vec<&str> = left.iter().map(|entity| entity.name.as_str()).collect();
            return refuse(format!(
                "required references in a circle, so that there can be no first row: `{}`",
                circle.join("`, `")
            ));
        };
        placed.push(left.remove(next));
    }
    Ok(placed)
}

pub(super) fn only_known(what: &str, keys: &Map<String, Value>, known: &[&str]) -> Result<(), Failure> {
    match keys.keys().find(|key| !known.contains(&key.as_str())) {
        None => Ok(()),
        Some(key) => refuse(format!("{what} has no `{}`\nhint: {}", key.escape_default(), hint(key, known))),
    }
}

pub(super) fn unknown(what: &str, word: &str, known: &[&str]) -> Failure {
    bad(format!("{what} `{}` is not known\nhint: {}", word.escape_default(), hint(word, known)))
}

pub(super) fn bad(message: impl Into<String>) -> Failure {
    Failure::permanent(message)
}

pub(super) fn refuse<T>(message: impl Into<String>) -> Result<T, Failure> {
    Err(bad(message))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(entities: Value) -> Result<Entities, Failure> {
        Entities::read(&entities, None)
    }

    #[test]
    fn referred_to_comes_first_and_names_are_bent() {
        let entities = read(json!([
            { "name": "ShipLog", "fields": [
                { "name": "id", "type": "integer" },
                { "name": "ship", "references": "ship", "required": true },
                { "name": "earlier", "references": "ShipLog" } ] },
            { "name": "ship", "fields": [{ "name": "home", "type": "integer", "references": "harbour" }] },
            { "name": "harbour", "fields": [{ "name": "flagship", "references": "ship" }, { "name": "key", "type": "password" }] },
        ]))
        .expect("entities");
        let names: Vec<_> = entities.0.iter().map(|entity| entity.table.as_str()).collect();
        assert_eq!(names, ["ships", "ship_logs", "harbours"], "optional references give way in a circle");
        let log = entities.named("ship_log").expect("ShipLog");
        assert_eq!((log.class.as_str(), log.constant.as_str(), log.fields.len()), ("ShipLog", "SHIP_LOGS", 2));
        assert_eq!(log.fields[0].references.as_ref().expect("a ship").table, "ships");
        assert_eq!(entities.named("harbour").expect("harbour").fields[1].column, "key_hash");
    }

    #[test]
    fn only_brings_what_it_refers_to() {
        let all = json!([
            { "name": "ship", "fields": [{ "name": "home", "references": "harbour" }] },
            { "name": "harbour", "fields": [{ "name": "name", "type": "string" }] },
            { "name": "crane", "fields": [{ "name": "harbour", "references": "harbour" }] },
        ]);
        let some = Entities::read(&all, Some(&["ship".into()])).expect("entities");
        assert_eq!(some.0.iter().map(|entity| entity.name.as_str()).collect::<Vec<_>>(), ["harbour", "ship"]);
        let failure = Entities::read(&all, Some(&["shop".into()])).expect_err("unknown");
        assert_eq!(failure.message, "`only`: entity `shop` is not known\nhint: did you mean `ship`?");
    }

    #[test]
    fn what_can_not_be_is_refused_by_name() {
        let field = |field: Value| json!([{ "name": "ship", "fields": [field] }]);
        for (entities, message) in [
            (json!({}), "`entities` is no array"),
            (json!([]), "`entities` has 0 of them"),
            (json!([{ "name": "a\";--", "fields": [] }]), "entity `a\\\";--` is no name"),
            (json!([{ "name": "ship", "fields": [] }]), "entity `ship` has no field beside `id`"),
            (json!([{ "name": "ship", "feilds": [] }]), "an entity has no `feilds`\nhint: did you mean `fields`?"),
            (
                field(json!({ "name": "a", "type": "strnig" })),
                "field `ship.a`: type `strnig` is not known\nhint: did you mean `string`?",
            ),
            (field(json!({ "name": "select", "type": "text" })), "field of `ship` `select` is a keyword of SQL"),
            (field(json!({ "name": "lambda", "type": "text" })), "field of `ship` `lambda` is a keyword of Python"),
            (field(json!({ "name": "a" })), "field `ship.a` has no type"),
            (field(json!({ "name": "id", "type": "uuid" })), "field `ship.id` is the key"),
            (
                field(json!({ "name": "a", "type": "text", "reqired": true })),
                "a field of `ship` has no `reqired`\nhint: did you mean `required`?",
            ),
            (
                field(json!({ "name": "a", "references": "shop" })),
                "field `ship.a`: entity `shop` is not known\nhint: did you mean `ship`?",
            ),
            (field(json!({ "name": "a", "references": "ship", "required": true })), "required references in a circle"),
            (
                json!([{ "name": "ship", "fields": [{ "name": "A", "type": "text" }, { "name": "a", "type": "text" }] }]),
                "entity `ship` has the column `a` twice",
            ),
            (
                json!([{ "name": "ship", "fields": [{ "name": "a", "type": "text" }] }, { "name": "Ship", "fields": [{ "name": "a", "type": "text" }] }]),
                "entity `ship` would be called",
            ),
        ] {
            let failure = read(entities.clone()).expect_err("refused");
            assert!(failure.message.starts_with(message), "{entities}: {}", failure.message);
        }
    }
}
