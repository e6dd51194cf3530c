//! Settings that can not be meant: of the workers and the clients alike.

use crate::call::Place;

#[test]
fn each_is_refused_in_one_line() {
    let files = [
        ("malformed", "[broker\n"),
        ("an unknown section", "[brokr]\nurl = \"amqp://host\""),
        ("an unknown key", "[broker]\nnamespce = \"x\""),
        ("a section that is none", "broker = 1"),
        ("a number that is a text", "[agents]\nslots = \"many\""),
        ("no slots", "[agents]\nslots = 0"),
        ("a negative number", "[broker]\npartitions = -1"),
        ("an absurd number", "[broker]\npartitions = 4294967295"),
        ("a duration without a unit", "[agents]\nheartbeat_interval = 5"),
        ("a namespace with a dot", "[broker]\nnamespace = \"a.b\""),
        ("a broker of another kind", "[broker]\nurl = \"http://me:secret@host\""),
        ("a store of another kind", "[store]\nurl = \"mysql://me:secret@host/x\""),
        ("a log format", "[log]\nformat = \"xml\""),
        ("a skill without a runner", "[skills.mine]\ntimeout = \"5s\""),
        ("an unknown key of a skill", "[skills.mine]\nrunner = \"noop\"\ntimout = \"5s\""),
        ("a kind of failure", "[skills.mine]\nrunner = \"noop\"\nretry_on = [\"tranzient\"]"),
        ("a fallback", "[skills.mine]\nrunner = \"noop\"\nfallback = \"slep\""),
        ("a fallback that is nearest itself", "[skills.x]\nrunner = \"noop\"\nfallback = \"y\""),
        ("an unknown runner", "[skills.mine]\nrunner = \"comand\""),
        ("a command without its program", "[skills.mine]\nrunner = \"command\""),
        ("a number that is too large", "[agents]\nslots = 99999999999999999999"),
        ("a short lease", "[skills.mine]\nrunner = \"noop\"\nmode = \"leased\"\nlease = \"1s\""),
        ("a skill's name", "[skills.\"told.1\"]\nrunner = \"noop\""),
    ];
    let place = Place::new();
    let mut refusals = String::new();
    for (what, content) in files {
        for command in ["manager", "list"] {
            place.write("s.toml", content);
            // The environment would have the last word.
            let mut command_line = place.command(&[command, "--config", "s.toml"]);
            let answer = place.answer(command_line.env_remove("TRIREME_BROKER__URL"));
            assert_eq!(answer.status, 2, "{what}: {}", answer.stderr);
            let refusal = answer.refusal(what);
            if command == "manager" {
                refusals += &refusal;
            }
        }
    }
    insta::assert_snapshot!("bad_settings", refusals);
}

#[test]
fn so_is_each_of_the_environment_and_of_the_options() {
    let place = Place::new();
    let mut refusals = String::new();
    refusals += &place.run(&["manager", "--config", "none.toml"]).refusal("no such file");
    for (what, name, value) in [
        ("an unknown variable", "TRIREME_BROKER__NAMESPCE", "x"),
        ("a number", "TRIREME_AGENTS__SLOTS", "-3"),
        ("a log filter", "TRIREME_LOG__FILTER", "trireme=loud"),
        ("a folder of playbooks", "TRIREME_PLAYBOOKS__FOLDER", "none"),
    ] {
        refusals += &place.answer(place.command(&["manager"]).env(name, value)).refusal(what);
    }
    for (what, arguments) in [
        ("slots", &["executor", "--slots", "0"][..]),
        ("a skill that is not configured", &["executor", "--skills", "noop,slep"]),
        ("an agent's id", &["coordinator", "--id", "a.b"]),
    ] {
        let answer = place.run(arguments);
        assert_eq!(answer.status, 2, "{what}: {}", answer.stderr);
        refusals += &answer.refusal(what);
    }
    #[cfg(not(feature = "tls"))]
    {
        let mut ping = place.command(&["ping"]);
        let answer = place.answer(ping.env("TRIREME_BROKER__URL", "amqps://host"));
        assert_eq!(answer.status, 2, "{}", answer.stderr);
        answer.refusal("TLS that is not built in");
    }
    insta::assert_snapshot!("bad_environment", refusals);
}
