//! Where a document has a NUL character, which no database takes as text: found before anybody reads the rest, and
//! named as the document's author knows the place.

use serde_json::Value;

use super::file::called;
use crate::domain::bad_input::quote;

/// The place of the first text or key with a NUL in it, as in "goal `Build`: subtask `code`: `input.notes[2]`". The
/// depth of the tree is bounded by its parser.
pub fn find(tree: &Value) -> Option<String> {
    way(tree).map(|way| print(tree, way))
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Key(&'a str),
    Item(usize),
}

/// The way to it, its end first.
fn way(value: &Value) -> Option<Vec<Step<'_>>> {
    let on = |way: Option<Vec<_>>, step| {
        way.map(|mut way| {
            way.push(step);
            way
        })
    };
    match value {
        Value::String(text) => text.contains('\0').then(Vec::new),
        Value::Array(items) => items.iter().enumerate().find_map(|(at, item)| on(way(item), Step::Item(at))),
        Value::Object(map) => map.iter().find_map(|(key, inner)| {
            let within = if key.contains('\0') { Some(Vec::new()) } else { way(inner) };
            on(within, Step::Key(key))
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

/// Goals and subtasks by their names, and the rest by its keys.
fn print(tree: &Value, mut way: Vec<Step<'_>>) -> String {
    let (mut place, mut keys, mut at) = (String::new(), String::new(), Some(tree));
    while let Some(step) = way.pop() {
        match (step, way.last().copied()) {
            (Step::Key(list @ ("goals" | "subtasks")), Some(Step::Item(number))) if keys.is_empty() => {
                way.pop();
                at = at.and_then(|at| at.get(list)?.get(number));
                let what = if list == "goals" { "goal" } else { "subtask" };
                let named = match at {
                    Some(Value::Object(map)) => called(what, number, map),
                    _ => format!("{what} {}", number + 1),
                };
                place += &format!("{named}: ");
            }
            (Step::Key(key), _) if keys.is_empty() => keys += key,
            (Step::Key(key), _) => keys += &format!(".{key}"),
            (Step::Item(number), _) => keys += &format!("[{number}]"),
        }
    }
    match keys.is_empty() {
        true => place.trim_end_matches(": ").to_owned(),
        false => place + &quote(&keys),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_place_is_named_as_its_author_knows_it() {
        let goal = |subtask| json!({ "goals": [{ "name": "g", "subtasks": [{ "name": "first" }, subtask] }] });
        for (tree, place) in [
            (json!({ "name": "a\0b" }), "`name`"),
            (json!({ "parameters": { "a": [{ "b": "x" }, { "b": "\0" }] } }), "`parameters.a[1].b`"),
            (json!({ "parameters": { "subtasks": ["\0"] } }), "`parameters.subtasks[0]`"),
            (json!({ "parameters": { "a\0": 1 } }), "`parameters.a\\u{0}`"),
            (json!({ "goals": [{ "name": "g", "input": { "x": "\0" } }] }), "goal `g`: `input.x`"),
            (json!({ "goals": [{ "name": "a\0b" }] }), "goal `a\\u{0}b`: `name`"),
            (json!({ "goals": [{}, { "description": "\0" }] }), "goal 2: `description`"),
            (json!({ "goals": ["\0"] }), "goal 1"),
            (goal(json!({ "name": "s", "input": { "x": { "y": "\0" } } })), "goal `g`: subtask `s`: `input.x.y`"),
            (goal(json!({ "dependencies": ["a", "\0"] })), "goal `g`: subtask 2: `dependencies[1]`"),
        ] {
            assert_eq!(find(&tree).as_deref(), Some(place), "{tree}");
        }
        assert_eq!(find(&goal(json!({ "name": "s", "input": { "x": ["y", 1, null] } }))), None);
    }
}
