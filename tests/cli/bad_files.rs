//! Project files that can not be meant.

use crate::call::Place;

/// A goal with these subtasks, each a name and what else it says.
fn plan(subtasks: &[(&str, &str)]) -> String {
    let subtask =
        |(name, more): &(&str, &str)| format!("[[goals.subtasks]]\nname = \"{name}\"\nskill = \"noop\"\n{more}\n");
    format!("name = \"p\"\n[[goals]]\nname = \"g\"\n{}", subtasks.iter().map(subtask).collect::<String>())
}

#[test]
fn each_is_refused_in_one_line() {
    const LEVELS: usize = 10_000;
    let deep_toml = format!("name = \"p\"\nparameters = {}1{}", "{ a = ".repeat(LEVELS), "}".repeat(LEVELS));
    let deep_json = format!("{{\"name\":\"p\",\"parameters\":{}1{}}}", "{\"a\":".repeat(LEVELS), "}".repeat(LEVELS));
    let files: Vec<(&str, &str, Vec<u8>)> = vec![
        ("empty", "p.toml", b" \n\t".to_vec()),
        ("longer than a message", "p.toml", vec![b'#'; 1024 * 1024 + 1]),
        ("not UTF-8", "p.toml", b"name = \"\xff\xfe\"".to_vec()),
        ("malformed TOML", "p.toml", b"name = \"p\"\ngoals = [[".to_vec()),
        ("malformed JSON", "p.json", b"{\"name\": \"p\",".to_vec()),
        ("JSON that is no object", "p.json", b"[1, 2]".to_vec()),
        ("a key twice in TOML", "p.toml", b"name = \"p\"\nname = \"q\"".to_vec()),
        ("a key twice in JSON", "p.json", b"{\"name\": \"p\", \"name\": \"q\"}".to_vec()),
        ("10,000 levels of TOML", "p.toml", deep_toml.into_bytes()),
        ("10,000 levels of JSON", "p.json", deep_json.into_bytes()),
        ("a NUL in a name", "p.toml", b"name = \"a\\u0000b\"".to_vec()),
        ("a NUL in JSON", "p.json", b"{\"name\": \"a\\u0000b\"}".to_vec()),
        ("a NUL in an input", "p.toml", plan(&[("a", "input = { x = [{ y = \"\\u0000\" }] }")]).into_bytes()),
        ("a line break in a name", "p.toml", b"name = \"a\\nb\"".to_vec()),
        ("no name", "p.toml", b"description = \"d\"".to_vec()),
        ("an empty name", "p.toml", b"name = \" \"".to_vec()),
        ("a name that is no text", "p.toml", b"name = 7".to_vec()),
        ("an unknown key", "p.toml", b"name = \"p\"\ndescripton = \"d\"".to_vec()),
        ("a key that nothing is like", "p.toml", b"name = \"p\"\nzebra = 1".to_vec()),
        ("an unknown key of a goal", "p.toml", b"name = \"p\"\n[[goals]]\nname = \"g\"\nprio = 1".to_vec()),
        ("an unknown key of a subtask", "p.toml", plan(&[("a", "dependancies = []")]).into_bytes()),
        ("an id that is no UUID", "p.toml", b"name = \"p\"\nid = \"7\"".to_vec()),
        ("a negative priority", "p.toml", b"name = \"p\"\n[[goals]]\nname = \"g\"\npriority = -1".to_vec()),
        ("priority 0", "p.toml", b"name = \"p\"\n[[goals]]\nname = \"g\"\npriority = 0".to_vec()),
        (
            "a priority that is no whole number",
            "p.toml",
            b"name = \"p\"\n[[goals]]\nname = \"g\"\npriority = 1.5".to_vec(),
        ),
        ("an absurd repeat", "p.toml", plan(&[("a", "repeat = 9223372036854775807")]).into_bytes()),
        ("a million and one", "p.toml", plan(&[("a", "repeat = 1000000"), ("b", "")]).into_bytes()),
        ("a number that is too large", "p.toml", plan(&[("a", "repeat = 99999999999999999999")]).into_bytes()),
        ("a number that is none", "p.toml", plan(&[("a", "input = { x = nan }")]).into_bytes()),
        ("a negative timeout", "p.toml", plan(&[("a", "timeout = \"-5s\"")]).into_bytes()),
        ("a timeout without a unit", "p.toml", plan(&[("a", "timeout = 5")]).into_bytes()),
        ("a long wait", "p.toml", plan(&[("a", "backoff = \"2d\"")]).into_bytes()),
        ("a kind of failure", "p.toml", plan(&[("a", "retry_on = [\"cancelled\"]")]).into_bytes()),
        ("no attempts", "p.toml", plan(&[("a", "max_attempts = 0")]).into_bytes()),
        ("two goals of one name", "p.toml", b"name = \"p\"\n[[goals]]\nname = \"g\"\n[[goals]]\nname = \"g\"".to_vec()),
        ("two subtasks of one name", "p.toml", plan(&[("a", ""), ("a", "")]).into_bytes()),
        ("skill and type", "p.toml", plan(&[("a", "type = \"noop\"")]).into_bytes()),
        (
            "a dependency that does not exist",
            "p.toml",
            plan(&[("alpha", ""), ("b", "dependencies = [\"alpa\"]")]).into_bytes(),
        ),
        ("a dependency on itself", "p.toml", plan(&[("a", "dependencies = [\"a\"]")]).into_bytes()),
        (
            "dependencies in a circle",
            "p.toml",
            plan(&[("a", "dependencies = [\"c\"]"), ("b", "dependencies = [\"a\"]"), ("c", "dependencies = [\"b\"]")])
                .into_bytes(),
        ),
        (
            "a dependency in another phase",
            "p.toml",
            format!(
                "{}[[goals]]\nname = \"h\"\npriority = 2\n[[goals.subtasks]]\nname = \"b\"\nskill = \"noop\"\n\
                 dependencies = [\"a\"]",
                plan(&[("a", "")])
            )
            .into_bytes(),
        ),
        ("an unknown planner", "p.toml", b"name = \"p\"\nplanner = \"playbok\"".to_vec()),
        ("an unknown playbook", "p.toml", b"name = \"p\"\nplaybook = \"shopp\"".to_vec()),
        ("an unknown skill", "p.toml", plan(&[("a", "")]).replace("noop", "nop").into_bytes()),
        ("a skill that can be none", "p.toml", plan(&[("a", "")]).replace("noop", "told.3").into_bytes()),
    ];
    let place = Place::new();
    let playbook = "name = \"shop\"\nmatch = { any = [\"shop\"] }\n[[goals]]\nname = \"g\"";
    std::fs::create_dir(place.path().join("books")).expect("a folder");
    place.write("books/shop.toml", playbook);
    let refusals: String = files
        .into_iter()
        .map(|(what, name, content)| {
            let mut submit = place.write(name, content).command(&["submit", name]);
            let answer = place.answer(submit.env("TRIREME_PLAYBOOKS__FOLDER", "books"));
            assert_eq!(answer.status, 2, "{what}: {}", answer.stderr);
            answer.refusal(what)
        })
        .collect();
    insta::assert_snapshot!("bad_files", refusals);
}

/// Managers may have another playbook for it; here all that will come of it is known.
#[test]
fn a_dependency_beside_a_goal_without_subtasks_is_refused_before_anything_runs() {
    let place = Place::new();
    let open = "[[goals]]\nname = \"open\"\ndescription = \"is planned by nobody\"\n";
    place.write("p.toml", plan(&[("alpha", ""), ("b", "dependencies = [\"alpa\"]")]) + open);
    let answer = place.run(&["run", "p.toml"]);
    assert_eq!(
        (answer.status, answer.stderr.as_str()),
        (
            2,
            "error: `p.toml`: goal `g`: subtask `b` depends on `alpa`, which does not exist\nhint: did you mean `alpha`?\n"
        )
    );
}

#[test]
fn one_that_can_not_be_read_is_refused() {
    let place = Place::new();
    let mut refusals = String::new();
    refusals += &place.run(&["submit", "none.toml"]).refusal("no such file");
    refusals += &place.run(&["submit", "."]).refusal("a folder");
    refusals += &place.answer(place.command(&["submit", "-"]).write_stdin("")).refusal("nothing on standard input");
    refusals += &place.answer(place.command(&["submit", "-"]).write_stdin("nam = 1")).refusal("bad standard input");
    insta::assert_snapshot!("unreadable_files", refusals);
}
