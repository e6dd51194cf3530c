//! The shipped templates end to end, with entities that no playbook knows.

use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

use crate::runner::build;
use crate::runner::testing::assignment;
use crate::runtime::port::Report;
use crate::wire::{FailureKind, Raw};

fn fleet() -> Value {
    json!([
        { "name": "ship", "fields": [
            { "name": "name", "type": "string", "required": true, "unique": true },
            { "name": "tonnage", "type": "decimal", "required": true },
            { "name": "launched", "type": "date" },
            { "name": "home", "references": "harbour", "required": true },
            { "name": "escorts", "references": "ship" } ] },
        { "name": "harbour", "fields": [
            { "name": "name", "type": "text", "required": true },
            { "name": "depth", "type": "number" },
            { "name": "open", "type": "boolean", "required": true },
            { "name": "code", "type": "uuid", "unique": true },
            { "name": "quays", "type": "integer" },
            { "name": "opened_at", "type": "datetime" } ] },
        { "name": "Pilot", "fields": [
            { "name": "email", "type": "email", "required": true, "unique": true },
            { "name": "password", "type": "password", "required": true },
            { "name": "harbour", "references": "harbour", "unique": true } ] },
    ])
}

async fn attempt(template: &str, name: &str, input: Value, deps: &Map<String, Value>) -> Report {
    attempt_with(json!({ "template": template }), name, input, deps).await
}

async fn attempt_with(options: Value, name: &str, input: Value, deps: &Map<String, Value>) -> Report {
    let runner = build("template", Some(&options)).expect("options");
    let mut assignment = assignment(input);
    assignment.command.task_name = name.into();
    assignment.command.deps = Raw::from(Value::Object(deps.clone()));
    runner.run(&assignment, CancellationToken::new()).await
}

fn result(report: Report) -> Value {
    let log = report.log.unwrap_or_default();
    report.outcome.unwrap_or_else(|failure| panic!("{failure:?}\n{log}")).read().expect("JSON")
}

fn text<'a>(result: &'a Value, path: &str) -> &'a str {
    let files = result["files"].as_array().expect("files");
    let file = files.iter().find(|file| file["path"] == path).unwrap_or_else(|| panic!("no {path}"));
    file["text"].as_str().expect("text")
}

/// A subtask after the others: what it produced becomes a dependency of those that name it.
struct Chain {
    entities: Value,
    done: Map<String, Value>,
}

impl Chain {
    fn new(entities: Value) -> Self {
        Self { entities, done: Map::new() }
    }

    async fn step(&mut self, name: &str, template: &str, input: Value, after: &[&str]) -> Value {
        let mut input = input.as_object().expect("an object").clone();
        input.insert("entities".into(), self.entities.clone());
        let deps = after.iter().map(|name| ((*name).to_owned(), self.done[*name].clone())).collect();
        let made = result(attempt(template, name, Value::Object(input), &deps).await);
        self.done.insert(name.into(), made.clone());
        made
    }
}

#[tokio::test]
async fn every_operation_builds_on_what_was_produced_and_its_tests_pass() {
    let mut chain = Chain::new(fleet());
    let schema = chain.step("schema", "database_design", json!({}), &[]).await;
    assert_eq!(schema["checked"]["rows_written_and_read_back"], 6);
    assert!(schema["checked"]["violations_refused"].as_u64() > Some(12), "{}", schema["checked"]);
    let order: Vec<_> = schema["tables"].as_array().expect("tables").iter().map(|table| &table["name"]).collect();
    assert_eq!(order, ["harbours", "ships", "pilots"]);

    let steps: [(&str, Value, &[&str], &str); 8] = [
        ("repository", json!({}), &["schema"], "repository"),
        ("registration", json!({ "operation": "registration" }), &["schema"], "pilot_registration"),
        ("login", json!({ "operation": "login" }), &["schema", "registration"], "pilot_login"),
        ("reset", json!({ "operation": "password_reset" }), &["login"], "pilot_password_reset"),
        ("listing", json!({ "operation": "listing", "entity": "ship" }), &["schema"], "ship_listing"),
        ("detail", json!({ "operation": "detail", "entity": "ship" }), &["schema", "listing"], "ship_detail"),
        ("pages", json!({ "operation": "pages" }), &["repository"], "pages"),
        ("deployment", json!({ "operation": "deployment" }), &["schema", "pages"], "deployment"),
    ];
    for (name, input, after, module) in steps {
        let made = chain.step(name, "code_generation", input, after).await;
        assert_eq!(made["module"], module);
        assert!(made["checked"]["tests"].as_u64() >= Some(3), "{name}: {}", made["checked"]);
        assert_eq!(text(&made, "schema.sql"), schema["sql_script"], "{name} carries the schema on");
    }
    assert!(text(&chain.done["login"], "pilot_login.py").contains("import pilot_registration"));
    assert!(text(&chain.done["pages"], "pages.py").contains("import repository"));
    let deps = Map::from_iter([("schema".to_owned(), schema.clone())]);
    let from_the_schema = result(attempt("code_generation", "code", json!({}), &deps).await);
    assert_eq!(from_the_schema["entities"], schema["entities"], "entities travel with what was made of them");
    let measured = chain.step("figures", "data_analysis", json!({}), &["deployment"]).await;
    assert_eq!(measured["source"], "`measurements` of `deployment`");
    assert!(measured["columns"]["microseconds"]["mean"].as_f64() > Some(0.0), "{measured}");
    let report = chain.step("report", "generic", json!({ "note": "calm | sea" }), &["deployment", "figures"]).await;
    let report = text(&report, "report.md");
    assert!(report.contains("| tonnage | decimal | yes | no |") && report.contains("calm \\| sea"), "{report}");
}

#[tokio::test]
async fn a_contract_and_its_client_agree() {
    let mut chain = Chain::new(fleet());
    let only = json!({ "only": ["ship"], "entity": "ship", "operation": "gateway" });
    let contract = chain.step("contract", "api_call", only.clone(), &[]).await;
    assert_eq!(contract["api"], "POST /ships");
    assert_eq!(contract["checked"]["messages_signed"], 2);
    let client = chain.step("client", "code_generation", only, &["contract"]).await;
    assert!(client["checked"]["tests"].as_u64() >= Some(8), "{}", client["checked"]);
    let again = chain
        .step("contract", "api_call", json!({ "only": ["ship"], "entity": "ship", "operation": "gateway" }), &[])
        .await;
    assert_eq!(again, contract, "the same input gives the same bytes");
    let refused = attempt("api_call", "contract", json!({ "entities": fleet(), "entity": "pilot" }), &Map::new()).await;
    assert!(
        refused.outcome.expect_err("a password does not travel").message.starts_with("entity `pilot` is not known")
    );
}

#[tokio::test]
async fn one_field_changed_changes_everything_that_is_made() {
    let make = async |entities: Value| {
        let mut chain = Chain::new(entities);
        let schema = chain.step("schema", "database_design", json!({}), &[]).await;
        let code = chain.step("code", "code_generation", json!({}), &["schema"]).await;
        let report = chain.step("report", "generic", json!({}), &["schema", "code"]).await;
        let files = [
            (&schema, "schema.sql"),
            (&code, "model.py"),
            (&code, "repository.py"),
            (&code, "test_repository.py"),
            (&report, "report.md"),
        ];
        files.map(|(result, path)| text(result, path).to_owned())
    };
    let before = make(fleet()).await;
    let mut changed = fleet();
    changed[0]["fields"][1] = json!({ "name": "burden", "type": "integer" });
    let after = make(changed).await;
    for (before, after) in before.iter().zip(&after) {
        assert!(before.contains("tonnage") && !before.contains("burden"), "{before}");
        assert!(after.contains("burden") && !after.contains("tonnage"), "{after}");
    }
}

#[tokio::test]
async fn code_whose_tests_fail_is_no_result() {
    // A schema that lacks a column of the entities: as of another version of them.
    let entities =
        json!([{ "name": "ship", "fields": [{ "name": "name", "type": "text" }, { "name": "flag", "type": "text" }] }]);
    let schema = json!({ "files": [{ "path": "schema.sql", "text": "CREATE TABLE ships (id INTEGER PRIMARY KEY, name TEXT);" }] });
    let deps = Map::from_iter([("schema".to_owned(), schema)]);
    let report = attempt("code_generation", "code", json!({ "entities": entities }), &deps).await;
    let failure = report.outcome.expect_err("the tests fail");
    assert_eq!(failure.kind, FailureKind::Permanent);
    assert!(failure.message.contains("tests failed: `test_repository.ShipRows."), "{}", failure.message);
    assert!(report.log.expect("a log").contains("no column named flag"));
}

#[tokio::test]
async fn where_there_is_no_python_it_says_so() {
    let options = json!({ "template": "code_generation", "python": "no-such-python" });
    let made = result(attempt_with(options, "code", json!({ "entities": fleet() }), &Map::new()).await);
    assert_eq!(made["checked"], Value::Null);
    assert_eq!(made["unchecked_because"], "there is no program `no-such-python` on its PATH");
    assert!(text(&made, "repository.py").contains("def add_ship("));
}

#[tokio::test]
async fn awkward_names_and_words_do_no_harm() {
    let entities = json!([
        { "name": "table", "table": "desks", "fields": [{ "name": "connection", "type": "text", "required": true }] },
        { "name": "field", "fields": [
            { "name": "self", "type": "string", "unique": true, "required": true },
            { "name": "filters", "type": "integer" },
            { "name": "key", "type": "password" },
            { "name": "records", "references": "table" } ] },
        { "name": "Test", "fields": [{ "name": "name", "type": "text" }] },
        { "name": "order", "fields": [{ "name": "class_", "type": "text" }, { "name": "values_", "type": "boolean", "unique": true }] },
    ]);
    let mut chain = Chain::new(entities);
    let name = "x\"\"\"\nimport os # '''";
    chain.step(name, "database_design", json!({}), &[]).await;
    chain.step("repository", "code_generation", json!({}), &[name]).await;
    for operation in ["registration", "listing"] {
        chain.step(operation, "code_generation", json!({ "operation": operation, "entity": "field" }), &[name]).await;
    }
    for (operation, after) in [("login", "registration"), ("detail", "listing"), ("pages", "repository")] {
        chain.step(operation, "code_generation", json!({ "operation": operation, "entity": "field" }), &[after]).await;
    }
    for (operation, after) in [("listing", name), ("detail", "listing")] {
        chain.step(operation, "code_generation", json!({ "operation": operation, "entity": "test" }), &[after]).await;
    }
    chain.step("deployment", "code_generation", json!({ "operation": "deployment" }), &["pages"]).await;
    chain.step("<b>|", "generic", json!({}), &["deployment", name]).await;
}

#[tokio::test]
async fn what_can_not_be_made_says_why() {
    let none = Map::new();
    for (template, input, message) in [
        ("database_design", json!({}), "input has no `entities`"),
        (
            "database_design",
            json!({ "entities": [{ "name": "x; DROP TABLE", "fields": [] }] }),
            "entity `x; DROP TABLE` is no name",
        ),
        (
            "code_generation",
            json!({ "entities": fleet(), "operation": "lisitng" }),
            "input `operation`: `lisitng` is not known\nhint: did you mean `listing`?",
        ),
        (
            "code_generation",
            json!({ "entities": fleet(), "operation": "login" }),
            "`login` imports a `registration`, and no dependency brings one",
        ),
        (
            "code_generation",
            json!({ "entities": fleet(), "operation": "listing", "entity": "shop" }),
            "entity `shop` is not known\nhint: did you mean `ship`?",
        ),
        (
            "code_generation",
            json!({ "entities": fleet(), "operation": "registration", "entity": "ship" }),
            "entity `ship` has no password",
        ),
        ("generic", json!([1]), "input is no object"),
    ] {
        let failure = attempt(template, "x", input, &none).await.outcome.expect_err("refused");
        assert_eq!(failure.kind, FailureKind::Permanent);
        assert!(failure.message.starts_with(message), "{}", failure.message);
    }
    let report = result(attempt("generic", "Execute Sail", json!(null), &none).await);
    assert!(text(&report, "report.md").starts_with("# Execute Sail\n"));
}

#[tokio::test]
async fn a_template_of_ones_own_is_a_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("cargo.json.j2");
    std::fs::write(&path, r#"{"of": {{ task | tojson }}, "n": {{ input.n }}}"#).expect("written");
    let options = json!({ "template": path });
    let made = result(attempt_with(options.clone(), "Grain", json!({ "n": 3 }), &Map::new()).await);
    assert_eq!(text(&made, "cargo.json"), r#"{"of": "Grain", "n": 3}"#);
    let no_json = attempt_with(options, "Grain", json!({ "n": "," }), &Map::new()).await;
    assert!(no_json.outcome.expect_err("no JSON").message.starts_with("`cargo.json` came out as no JSON"));
    std::fs::write(&path, "{% if %}").expect("written");
    for (template, message) in [
        (path.to_str().expect("a path"), "syntax error"),
        ("nowhere.j2", "template `nowhere.j2` can not be read"),
        ("genric", "no template is named `genric`\nhint: did you mean `generic`?"),
    ] {
        let refused = build("template", Some(&json!({ "template": template }))).err().expect("refused").to_string();
        assert!(refused.contains(message), "{refused}");
    }
}
