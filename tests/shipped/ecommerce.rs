//! The seed's own project: the goals and subtasks that it names, and what comes of them.

use serde_json::Value;

use super::performer::{Results, file, perform, plan};

const PROJECT: &str = include_str!("../../examples/ecommerce.toml");

#[test]
fn the_plan_is_the_seeds() {
    let planned = plan(PROJECT);
    let goals: Vec<_> = planned.iter().map(|(goal, _)| (goal.goal_name.as_str(), goal.priority)).collect();
    assert_eq!(
        goals,
        [
            ("Design Core Architecture", 1),
            ("Implement User Management", 2),
            ("Develop Product Catalog", 2),
            ("Integrate Payment Gateway", 3),
            ("Build Frontend Interface", 4),
            ("Deploy & Test System", 5),
        ]
    );
    let subtasks = |goal: usize| -> Vec<(&str, &str, Vec<&str>)> {
        planned[goal]
            .1
            .iter()
            .map(|subtask| {
                let dependencies = subtask.dependencies.iter().map(String::as_str).collect();
                (subtask.name.as_str(), subtask.skill.as_str(), dependencies)
            })
            .collect()
    };
    assert_eq!(
        subtasks(1),
        [
            ("Design User Database Schema", "DatabaseDesign", vec![]),
            ("Develop User Registration API", "CodeGeneration", vec!["Design User Database Schema"]),
            (
                "Develop User Login API",
                "CodeGeneration",
                vec!["Design User Database Schema", "Develop User Registration API"]
            ),
            ("Implement Password Reset Flow", "CodeGeneration", vec!["Develop User Login API"]),
        ]
    );
    assert_eq!(
        subtasks(2),
        [
            ("Design Product Database Schema", "DatabaseDesign", vec![]),
            ("Develop Product Listing API", "CodeGeneration", vec!["Design Product Database Schema"]),
            (
                "Develop Product Detail API",
                "CodeGeneration",
                vec!["Design Product Database Schema", "Develop Product Listing API"]
            ),
        ]
    );
    for goal in [0, 3, 4, 5] {
        assert!(subtasks(goal).len() >= 4, "{:?}", subtasks(goal));
    }
}

#[tokio::test]
async fn every_subtask_is_performed_and_tried() {
    let results = perform(PROJECT).await;
    let tests = |goal: &str, subtask: &str| results[goal][subtask]["checked"]["tests"].as_u64().unwrap_or_default();
    assert!(tests("Implement User Management", "Implement Password Reset Flow") > 4);
    assert!(tests("Develop Product Catalog", "Develop Product Detail API") > 3);
    assert!(tests("Integrate Payment Gateway", "Develop Payment Gateway Client") > 8);
    assert!(tests("Build Frontend Interface", "Develop Storefront Pages") > 6);
    assert!(tests("Deploy & Test System", "Deploy and Run Smoke Tests") > 4);
    let figures = &results["Deploy & Test System"]["Analyze Smoke Test Measurements"];
    assert!(figures["columns"]["microseconds"]["count"].as_u64() > Some(100), "{figures}");
    let release = file(&results["Deploy & Test System"]["Write Release Report"], "report.md");
    assert!(
        release.contains("### payment\n") && release.contains("### Analyze Smoke Test Measurements\n"),
        "{release}"
    );
}

#[tokio::test]
async fn a_project_can_bring_its_own_entities() {
    let project = format!(
        "{PROJECT}\n{}",
        r#"
        [[parameters.entities]]
        name = "harbour"
        fields = [{ name = "name", type = "string", required = true, unique = true }]
        [[parameters.entities]]
        name = "ship"
        fields = [{ name = "imo", type = "integer", unique = true }, { name = "home", references = "harbour", required = true }]
        [[goals]]
        name = "Deploy & Test System"
        priority = 1
        "#
    );
    let results: Results = perform(&project).await;
    let subtasks = &results["Deploy & Test System"];
    assert_eq!(results.len(), 1);
    let schema = subtasks["Assemble Database Schema"]["sql_script"].as_str().expect("SQL");
    assert!(schema.contains("\"imo\" INTEGER UNIQUE") && !schema.contains("product"), "{schema}");
    assert!(file(&subtasks["Deploy and Run Smoke Tests"], "model.py").contains("class Ship:"));
    assert_ne!(subtasks["Deploy and Run Smoke Tests"]["checked"], Value::Null);
}
