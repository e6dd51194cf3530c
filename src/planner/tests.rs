//! The planners as a process uses them: who answers what, and with which inputs.

use serde_json::{Value, json};
use uuid::Uuid;

use super::document::Format;
use super::*;
use crate::runtime::port::PlannedGoals;
use crate::wire::content::StartProjectPhase;
use crate::wire::{GoalPlan, ProjectId, Raw, SubtaskPlan};

const SHOP: &str = r#"
match = { any = ["web shop", "store"] }
[parameters]
from = "playbook"
playbook = true
[[goals]]
name = "Build"
priority = 2
[goals.input]
from = "playbook goal"
playbook_goal = true
[[goals.subtasks]]
name = "draw"
skill = "DatabaseDesign"
[[goals.subtasks]]
name = "code"
skill = "CodeGeneration"
dependencies = ["draw"]
input = { from = "subtask" }
[[goals]]
name = "Open"
priority = 1
"#;

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).expect("written");
    }
    folder
}

fn shop() -> Vec<Arc<dyn Planner>> {
    planners(Some(folder(&[("shop.toml", SHOP)]).path())).expect("good playbooks")
}

fn request(text: &str) -> NewProject {
    ProjectFile::parse(text, Format::Toml).expect("a good file").request()
}

/// Asks one after the other, as the runtime does.
fn goals(planners: &[Arc<dyn Planner>], request: &NewProject) -> Result<(&'static str, PlannedGoals), PlanError> {
    for planner in planners {
        if let Some(planned) = planner.goals(request)? {
            return Ok((planner.name(), planned));
        }
    }
    Err(PlanError::new("nobody knows"))
}

/// The phases of a request, each goal with its subtasks, in the order of their priorities.
fn phases(planners: &[Arc<dyn Planner>], request: &NewProject) -> Result<Vec<(String, Vec<SubtaskPlan>)>, PlanError> {
    let planned = goals(planners, request)?.1;
    let mut goals = planned.goals;
    goals.sort_by_key(|goal| goal.priority);
    goals
        .iter()
        .map(|goal| {
            let phase = phase(goal, request, planned.playbook.clone());
            for planner in planners {
                if let Some(subtasks) = planner.subtasks(goal, &phase)? {
                    return Ok((goal.goal_name.clone(), subtasks));
                }
            }
            Err(PlanError::new("nobody knows"))
        })
        .collect()
}

fn phase(
    goal: &GoalPlan,
    request: &NewProject,
    playbook: Option<crate::wire::content::PlaybookRef>,
) -> StartProjectPhase {
    StartProjectPhase {
        project_id: ProjectId(Uuid::max()),
        project_name: request.project_name.clone(),
        project_version: 1,
        run: 1,
        store_id: Uuid::max(),
        phase: 1,
        priority: goal.priority,
        partition: 0,
        strategic_goals: vec![goal.clone()],
        parameters: request.parameters.clone(),
        policy: Raw::empty_object(),
        id_namespace: Uuid::max(),
        playbook,
        former: None,
        before: Vec::new(),
        left_out: Vec::new(),
    }
}

fn input(subtask: &SubtaskPlan) -> Value {
    subtask.input.as_ref().map_or(Value::Null, |input| input.read().expect("JSON"))
}

#[test]
fn a_whole_plan_is_followed_as_it_is() {
    let text = r#"
        name = "p"
        description = "a web shop"
        parameters = { from = "project", project = 1 }
        [[goals]]
        name = "Build"
        input = { from = "goal", goal = 2 }
        subtasks = [{ name = "a", skill = "noop" }, { name = "b", type = "noop", dependencies = ["a"], input = { from = "b" } }]
    "#;
    let (planner, planned) = goals(&shop(), &request(text)).expect("a plan");
    assert_eq!((planner, planned.playbook), ("plan", None));
    let phases = phases(&shop(), &request(text)).expect("a plan");
    let inputs: Vec<_> = phases[0].1.iter().map(input).collect();
    assert_eq!(
        inputs,
        [json!({"from": "goal", "project": 1, "goal": 2}), json!({"from": "b", "project": 1, "goal": 2})]
    );
    let bare = request("name = 'p'\n[[goals]]\nname = 'g'\nsubtasks = [{ name = 'a', skill = 'noop' }]");
    assert_eq!(self::phases(&shop(), &bare).expect("a plan")[0].1[0].input, None);
}

#[test]
fn a_description_finds_its_playbook_and_inputs_lie_over_each_other() {
    let text = "name = 'p'\ndescription = 'Make a Web Shop.'\nparameters = { from = 'project', project = 1 }";
    let (planner, planned) = goals(&shop(), &request(text)).expect("a plan");
    assert_eq!(planner, "playbook");
    assert_eq!(planned.playbook.expect("it is named").name, "shop");
    assert!(planned.goals.iter().all(|goal| goal.subtasks.is_none() && goal.input.is_none()));

    let phases = phases(&shop(), &request(text)).expect("a plan");
    assert_eq!(phases.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["Open", "Build"]);
    assert_eq!(phases[0].1[0].name, "Execute Open");
    let expected = |from| json!({"from": from, "playbook": true, "project": 1, "playbook_goal": true});
    assert_eq!(input(&phases[1].1[0]), expected("playbook goal"));
    assert_eq!(input(&phases[1].1[1]), expected("subtask"));

    let own_goal = format!("{text}\n[[goals]]\nname = 'Build'\ninput = {{ from = 'project goal', playbook = false }}");
    let phases = self::phases(&shop(), &request(&own_goal)).expect("a plan");
    assert_eq!(phases.len(), 1);
    assert_eq!(
        input(&phases[0].1[0]),
        json!({"from": "project goal", "playbook": false, "project": 1, "playbook_goal": true})
    );
}

#[test]
fn what_nobody_knows_is_generic() {
    let text = "name = 'Sing'\ndescription = 'a song'";
    let (planner, planned) = goals(&shop(), &request(text)).expect("a plan");
    assert_eq!((planner, planned.playbook), ("fallback", None));
    assert_eq!((planned.goals[0].goal_name.as_str(), planned.goals[0].priority), ("Generic Task Completion", 1));
    let phases = phases(&shop(), &request(text)).expect("a plan");
    let subtask = &phases[0].1[0];
    assert_eq!(subtask.name, "Execute Generic Task Completion");
    assert_eq!(subtask.skill, "Generic");
    assert_eq!(subtask.description, "Generic execution for Generic Task Completion");
    assert_eq!(input(subtask), json!({"description": "a song"}));

    let mixed = "name = 'p'\ndescription = 'd'\n[[goals]]\nname = 'Hum'\ninput = { key = 'c' }\n\
                 [[goals]]\nname = 'Done'\nsubtasks = [{ name = 'a', skill = 'noop' }]";
    let phases = self::phases(&shop(), &request(mixed)).expect("a plan");
    assert_eq!(input(&phases[0].1[0]), json!({"description": "d", "key": "c"}));
    assert_eq!(phases[1].1[0].name, "a");
}

#[test]
fn a_planner_that_is_named_answers_alone() {
    let answer = |text: &str| goals(&shop(), &request(text)).map(|(name, _)| name).map_err(|error| error.message);
    let refused = |message: &str| Err(message.to_owned());
    let shop_like = "name = 'p'\ndescription = 'a web shop'\n";
    assert_eq!(answer(&format!("{shop_like}planner = 'playbook'")), Ok("playbook"));
    assert_eq!(answer(&format!("{shop_like}planner = 'fallback'")), Ok("fallback"));
    assert_eq!(
        answer(&format!("{shop_like}planner = 'plan'")),
        refused("the project has no goals, and the planner `plan` adds none")
    );
    assert_eq!(
        answer("name = 'p'\nplanner = 'plan'\n[[goals]]\nname = 'Build'"),
        refused("goal `Build` has no subtasks, and the planner `plan` adds none")
    );
    assert_eq!(
        answer("name = 'p'\nplanner = 'playbook'"),
        refused("no playbook matches the description of the project")
    );
    assert_eq!(
        answer("name = 'p'\nplaybook = 'shop'\nplanner = 'playbook'\n[[goals]]\nname = 'Bulid'"),
        refused("goal `Bulid` has no subtasks, and playbook `shop` does not know it")
    );
    assert_eq!(answer("name = 'p'\nplaybook = 'shopp'"), refused("unknown playbook `shopp` (did you mean `shop`?)"));
    let unknown = NewProject { planner: Some("plann".into()), ..request("name = 'p'") };
    let error = goals(&shop(), &unknown).expect_err("no such planner");
    assert_eq!(error.message, "unknown planner `plann` (did you mean `plan`?)");
    let odd = NewProject { parameters: Raw::null(), ..request("name = 'p'") };
    assert_eq!(goals(&shop(), &odd).expect_err("no object").message, "the `parameters` of a project are an object");
}

#[test]
fn a_plan_and_a_playbook_that_do_not_fit_are_refused_before_anything_starts() {
    let text = "name = 'p'\nplaybook = 'shop'\n[[goals]]\nname = 'Build'\n\
                [[goals]]\nname = 'Other'\nsubtasks = [{ name = 'draw', skill = 'noop' }]";
    let error = goals(&shop(), &request(text)).expect_err("two subtasks of one name");
    assert_eq!(
        error.message,
        "with playbook `shop`: two subtasks are named `draw` in goals `Build` and `Other`, both of priority 1"
    );
}

#[test]
fn another_content_at_the_coordinator_refuses_the_phase_by_name() {
    let request = request("name = 'p'\nplaybook = 'shop'");
    let planned = goals(&shop(), &request).expect("a plan").1;
    let phase = phase(&planned.goals[0], &request, planned.playbook.clone());
    let ask = |files: &[(&str, &str)]| {
        let planners = planners(Some(folder(files).path())).expect("good playbooks");
        planners.iter().find_map(|planner| planner.subtasks(&planned.goals[0], &phase).transpose())
    };
    let other = format!("{SHOP}# one more line\n");
    let refused = |message: &str| Some(Err(PlanError::new(message)));
    assert_eq!(ask(&[("shop.toml", &other)]), refused("playbook `shop` here differs from the manager's"));
    assert_eq!(ask(&[("store.toml", SHOP)]), refused("playbook `shop` of the manager is not known here"));
    assert!(matches!(ask(&[("shop.toml", SHOP)]), Some(Ok(_))));
}

#[test]
fn the_longest_match_wins_then_the_name() {
    let named = |phrase: &str| format!("match = {{ any = ['{phrase}'] }}\n[[goals]]\nname = '{phrase}'\n");
    let (short, long) = (named("shop"), named("web shop"));
    let files = folder(&[("a.toml", &short), ("b.toml", &long), ("c.toml", &long), ("notes.txt", "x")]);
    let library = Library::load(Some(files.path())).expect("good playbooks");
    let chosen = |description: &str| {
        let request = ProjectFile::named("p", description).expect("a project").request();
        library.choose(&request).expect("a good request").map(|playbook| playbook.name.clone())
    };
    assert_eq!(chosen("a web shop").as_deref(), Some("b"));
    assert_eq!(chosen("a shop").as_deref(), Some("a"));
    assert_eq!(chosen("a barn"), None);
}

#[test]
fn a_bad_folder_names_the_file() {
    let files = folder(&[("bad.toml", "name = ")]);
    let error = Library::load(Some(files.path())).expect_err("a bad playbook");
    assert!(error.message.contains("bad.toml`: line 1, column 8: "), "{error}");
    let error = Library::load(Some(&files.path().join("none"))).expect_err("no folder");
    assert!(error.message.contains("can not be read: No such file"), "{error}");
    assert_eq!(error.hint(), Some("the setting `playbooks.folder` names it"));
}

#[test]
fn what_ships_is_good() {
    Library::load(None).expect("the playbooks that ship are good");
}
