//! DataAnalysis: count, mean, least, greatest and quantiles of every numeric column of a table.
//!
//! The table is the one of these that the input has: `csv` (a text whose first line names the columns;
//! `delimiter` if it is no comma), `json` or `rows` (an array of objects, or `json` as a text of one), `file` (the
//! path of a CSV or JSON file among the files of a dependency); else the `rows` or the `measurements` that a
//! dependency has. `dependency` names one where there are several.
//!
//! A column is numeric when every cell of it that is not missing is a finite number; an empty cell, like null, is
//! missing. The quantile q of n sorted values is found by linear interpolation between the two values nearest to
//! rank `q * (n - 1)`, counted from 0: what spreadsheets call inclusive, and NumPy linear.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::engine::render;
use super::entity::{bad, refuse, unknown};
use super::task::{File, Task, files_value};
use crate::wire::Failure;

/// By name and in percent, so that a rank is computed without loss.
const QUANTILES: [(&str, usize); 4] = [("0.25", 25), ("0.5", 50), ("0.75", 75), ("0.95", 95)];
const METHOD: &str = "linear interpolation between the nearest ranks (inclusive)";
const SOURCES: [&str; 4] = ["csv", "file", "json", "rows"];

pub(super) fn make(task: &Task) -> Result<Value, Failure> {
    let (source, table) = table(task)?;
    let columns: Map<String, Value> = table.columns.iter().map(|(name, cells)| (name.clone(), column(cells))).collect();
    let text = render(
        "report/analysis.md",
        json!({
            "task": task.name, "description": task.description, "source": source, "method": METHOD,
            "rows": table.rows, "columns": columns,
        }),
    )?;
    Ok(json!({
        "source": source,
        "rows": table.rows,
        "columns": columns,
        "quantile_method": METHOD,
        "files": files_value(&[File::new("analysis.md", text)]),
    }))
}

/// Cells by column; a row that lacks one has it missing.
struct Table {
    rows: usize,
    columns: BTreeMap<String, Vec<Cell>>,
}

#[derive(Debug, Clone, PartialEq)]
enum Cell {
    Missing,
    Number(f64),
    Text(String),
}

/// The table, and where it is from.
fn table(task: &Task) -> Result<(String, Table), Failure> {
    let given: Vec<&str> = SOURCES.into_iter().filter(|source| task.input.contains_key(*source)).collect();
    match given.as_slice() {
        ["csv"] => {
            let text = task.text("csv")?.ok_or_else(|| bad("input `csv` is null"))?;
            Ok(("input `csv`".into(), from_csv(text, delimiter(task)?)?))
        }
        ["file"] => from_file(task),
        [source @ ("json" | "rows")] => Ok((format!("input `{source}`"), from_json(&task.input[*source])?)),
        [] => from_dependency(task),
        several => refuse(format!("input has several tables: `{}`", several.join("`, `"))),
    }
}

fn delimiter(task: &Task) -> Result<u8, Failure> {
    match task.text("delimiter")?.unwrap_or(",").as_bytes() {
        [one] if one.is_ascii() && !matches!(one, b'"' | b'\n' | b'\r') => Ok(*one),
        _ => refuse("input `delimiter` is not one character of ASCII"),
    }
}

/// The dependencies that are asked: the one that is named, else all.
fn dependencies(task: &Task) -> Result<Vec<(&String, &Value)>, Failure> {
    let Some(named) = task.text("dependency")? else { return Ok(task.deps.iter().collect()) };
    let known: Vec<&str> = task.deps.keys().map(String::as_str).collect();
    match task.deps.get_key_value(named) {
        Some(found) => Ok(vec![found]),
        None => Err(unknown("input `dependency`:", named, &known)),
    }
}

fn from_file(task: &Task) -> Result<(String, Table), Failure> {
    let path = task.text("file")?.ok_or_else(|| bad("input `file` is null"))?;
    for (name, _) in dependencies(task)? {
        let files = task.files_of(name)?;
        let Some((_, text)) = files.into_iter().find(|(found, _)| found == path) else { continue };
        let source = format!("`{path}` of `{name}`");
        return match path.ends_with(".json") {
            true => Ok((source, from_json(&Value::String(text))?)),
            false => Ok((source, from_csv(&text, delimiter(task)?)?)),
        };
    }
    refuse(format!("no dependency has a file `{}`", path.escape_default()))
}

fn from_dependency(task: &Task) -> Result<(String, Table), Failure> {
    let asked = dependencies(task)?;
    for key in ["rows", "measurements"] {
        for (name, result) in &asked {
            if let Some(rows @ Value::Array(_)) = result.get(key) {
                return Ok((format!("`{key}` of `{name}`"), from_json(rows)?));
            }
        }
    }
    refuse("there is no table: neither `csv`, `json`, `rows` or `file` in the input, nor rows of a dependency")
}

fn from_csv(text: &str, delimiter: u8) -> Result<Table, Failure> {
    let wrong = |error: csv::Error| bad(format!("the CSV can not be read: {error}"));
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).trim(csv::Trim::All).from_reader(text.as_bytes());
    let header: Vec<String> = reader.headers().map_err(wrong)?.iter().map(str::to_owned).collect();
    if header.is_empty() {
        return refuse("the CSV is empty");
    }
    let different: BTreeSet<&String> = header.iter().collect();
    if different.len() != header.len() || different.iter().any(|name| name.is_empty()) {
        return refuse(format!("the columns of the CSV are not named apart: `{}`", header.join("`, `")));
    }
    let mut columns: Vec<Vec<Cell>> = vec![Vec::new(); header.len()];
    let mut rows = 0;
    for record in reader.records() {
        rows += 1;
        for (column, cell) in columns.iter_mut().zip(record.map_err(wrong)?.iter()) {
            column.push(Cell::read(cell));
        }
    }
    Ok(Table { rows, columns: header.into_iter().zip(columns).collect() })
}

fn from_json(given: &Value) -> Result<Table, Failure> {
    let parsed: Value;
    let given = match given {
        Value::String(text) => {
            parsed = serde_json::from_str(text).map_err(|error| bad(format!("the JSON can not be read: {error}")))?;
            &parsed
        }
        other => other,
    };
    let Value::Array(rows) = given else { return refuse("the table is no array of rows") };
    let mut columns: BTreeMap<String, Vec<Cell>> = BTreeMap::new();
    for (at, row) in rows.iter().enumerate() {
        let Value::Object(cells) = row else { return refuse(format!("row {} of the table is no object", at + 1)) };
        for (name, value) in cells {
            let column = columns.entry(name.clone()).or_default();
            column.resize(at, Cell::Missing);
            column.push(Cell::of(value));
        }
    }
    for column in columns.values_mut() {
        column.resize(rows.len(), Cell::Missing);
    }
    Ok(Table { rows: rows.len(), columns })
}

impl Cell {
    fn read(text: &str) -> Self {
        match text.parse::<f64>() {
            _ if text.is_empty() => Self::Missing,
            // What Rust reads as a number beyond this, `inf` and `NaN`, is none in a table.
            Ok(number) if number.is_finite() => Self::Number(number),
            _ => Self::Text(text.to_owned()),
        }
    }

    fn of(value: &Value) -> Self {
        match value {
            Value::Null => Self::Missing,
            Value::Number(number) => number.as_f64().map_or_else(|| Self::Text(number.to_string()), Self::Number),
            Value::String(text) => Self::read(text.trim()),
            other => Self::Text(other.to_string()),
        }
    }
}

fn column(cells: &[Cell]) -> Value {
    let missing = cells.iter().filter(|cell| **cell == Cell::Missing).count();
    let number = |cell: &Cell| if let Cell::Number(number) = cell { Some(*number) } else { None };
    let mut numbers: Vec<f64> = cells.iter().filter_map(number).collect();
    if numbers.is_empty() || numbers.len() + missing < cells.len() {
        let text = |cell: &Cell| match cell {
            Cell::Missing => None,
            Cell::Number(number) => Some(number.to_string()),
            Cell::Text(text) => Some(text.clone()),
        };
        let distinct: BTreeSet<String> = cells.iter().filter_map(text).collect();
        return json!({
            "kind": "text", "count": cells.len() - missing, "missing": missing, "distinct": distinct.len(),
        });
    }
    numbers.sort_by(f64::total_cmp);
    let quantiles: Map<String, Value> =
        QUANTILES.into_iter().map(|(name, percent)| (name.to_owned(), json!(quantile(&numbers, percent)))).collect();
    json!({
        "kind": "number",
        "count": numbers.len(),
        "missing": missing,
        "mean": mean(&numbers),
        "min": numbers[0],
        "max": numbers[numbers.len() - 1],
        "quantiles": quantiles,
    })
}

/// Each number's share is added, the lost digits of every addition apart: exact where a plain sum drifts, and in
/// range where it would leave it.
fn mean(numbers: &[f64]) -> f64 {
    let count = numbers.len() as f64;
    let plain = compensated_sum(numbers.iter().copied()) / count;
    if plain.is_finite() { plain } else { compensated_sum(numbers.iter().map(|number| number / count)) }
}

fn compensated_sum(numbers: impl Iterator<Item = f64>) -> f64 {
    let (mut sum, mut lost) = (0.0_f64, 0.0_f64);
    for number in numbers {
        let next = sum + number;
        lost += if sum.abs() >= number.abs() { (sum - next) + number } else { (number - next) + sum };
        sum = next;
    }
    sum + lost
}

/// Of sorted numbers, at least one.
fn quantile(sorted: &[f64], percent: usize) -> f64 {
    let hundredths = percent * (sorted.len() - 1);
    let (below, above) = (sorted[hundredths / 100], sorted[hundredths.div_ceil(100)]);
    let share = (hundredths % 100) as f64 / 100.0;
    match above - below {
        // The same way, for a difference that leaves the range.
        distance if distance.is_infinite() => below * (1.0 - share) + above * share,
        distance => below + share * distance,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runner::testing::assignment;
    use crate::wire::Raw;

    fn analyse(input: Value, deps: Value) -> Result<Value, Failure> {
        let mut assignment = assignment(input);
        assignment.command.deps = Raw::from(deps);
        make(&Task::read(&assignment.command).expect("a task"))
    }

    #[test]
    fn figures_are_those_of_the_numbers() {
        let csv = "name, size ,note\na,1,\nb,2,x\nc,3,x\nd,,y\ne,10,1\n";
        let result = analyse(json!({ "csv": csv }), json!({})).expect("analysed");
        assert_eq!(result["rows"], 5);
        assert_eq!(
            result["columns"]["size"],
            json!({
                "kind": "number", "count": 4, "missing": 1, "mean": 4.0, "min": 1.0, "max": 10.0,
                "quantiles": { "0.25": 1.75, "0.5": 2.5, "0.75": 4.75, "0.95": 8.95 },
            })
        );
        assert_eq!(result["columns"]["note"], json!({ "kind": "text", "count": 4, "missing": 1, "distinct": 3 }));
        assert!(result["files"][0]["text"].as_str().expect("a report").contains("| size | 4 | 1 | 4.0 |"));
    }

    #[test]
    fn rows_come_from_wherever_they_are() {
        let rows = json!([{ "a": 1 }, { "a": "2.5", "b": true }, { "b": null }]);
        let expect = |result: Result<Value, Failure>, source: &str| {
            let result = result.expect("analysed");
            assert_eq!(result["source"], source);
            assert_eq!(result["columns"]["a"]["mean"], 1.75);
            assert_eq!(result["columns"]["b"]["missing"], 2);
        };
        expect(analyse(json!({ "rows": rows }), json!({})), "input `rows`");
        expect(analyse(json!({ "json": rows.to_string() }), json!({})), "input `json`");
        expect(analyse(json!({}), json!({ "x": { "measurements": rows } })), "`measurements` of `x`");
        let file = json!({ "x": { "files": [{ "path": "d/t.json", "text": rows.to_string() }] } });
        expect(analyse(json!({ "file": "d/t.json" }), file.clone()), "`d/t.json` of `x`");
        let csv = json!({ "x": { "files": [{ "path": "t.csv", "base64": "YTtiCjE7CjIuNTt0cnVlCjs=" }] } });
        expect(analyse(json!({ "file": "t.csv", "delimiter": ";" }), csv), "`t.csv` of `x`");
        assert!(analyse(json!({ "file": "t.csv" }), file).is_err());
    }

    #[test]
    fn extremes_stay_in_range() {
        let rows = json!([{ "a": 1e308 }, { "a": 1.5e308 }, { "a": -1e-320 }]);
        let column = &analyse(json!({ "rows": rows }), json!({})).expect("analysed")["columns"]["a"];
        assert!((column["mean"].as_f64().expect("finite") / 1e308 - 2.5 / 3.0).abs() < 1e-9, "{column}");
        assert_eq!(mean(&[1e100, 1.0, -1e100]), 1.0 / 3.0);
        assert_eq!(quantile(&[-1.7e308, 1.7e308], 50), 0.0);
        assert_eq!(quantile(&[7.0], 95), 7.0);
    }

    #[test]
    fn what_is_no_table_says_so() {
        for (input, message) in [
            (json!({}), "there is no table"),
            (json!({ "csv": "" }), "the CSV is empty"),
            (json!({ "csv": "a,a\n1,2" }), "the columns of the CSV are not named apart"),
            (json!({ "csv": "a,b\n1\n" }), "the CSV can not be read"),
            (json!({ "csv": "a", "rows": [] }), "input has several tables"),
            (json!({ "csv": "a", "delimiter": "::" }), "input `delimiter`"),
            (json!({ "rows": [1] }), "row 1 of the table is no object"),
            (json!({ "json": "{" }), "the JSON can not be read"),
            (json!({ "json": {} }), "the table is no array"),
        ] {
            let failure = analyse(input.clone(), json!({})).expect_err("refused");
            assert!(failure.message.starts_with(message), "{input}: {}", failure.message);
        }
        let empty = analyse(json!({ "csv": "a,b\n" }), json!({})).expect("a table without rows");
        assert_eq!(empty["columns"]["a"], json!({ "kind": "text", "count": 0, "missing": 0, "distinct": 0 }));
        let words = analyse(json!({ "csv": "a\nNaN\ninf\n1e999\n" }), json!({})).expect("words");
        assert_eq!(words["columns"]["a"]["kind"], "text");
    }
}
