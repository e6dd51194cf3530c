//! `trireme topology`: shown without a broker too, made, and deleted only when nobody is at work.

use rustix::process::Signal;

use super::{Home, namespace, within};

#[tokio::test]
async fn without_a_broker_it_is_shown_without_depths() {
    let done = Home::new().run(&["topology", "show", "--json"]).await;
    assert_eq!(done.status, Some(0), "{}", done.stderr);
    assert!(done.stderr.starts_with("how full the queues are is not known: the broker is not reachable"));
    let shown = done.json();
    assert_eq!(shown["exchanges"].as_array().map(Vec::len), Some(10));
    let requests = &shown["queues"][0];
    assert_eq!(requests["name"], "trireme.requests");
    assert_eq!(requests["max_length"], 10_000);
    assert_eq!(requests["ready"], serde_json::Value::Null);
    let text = Home::new().run(&["topology", "show"]).await.stdout;
    assert!(text.contains("trireme.skill.hold") && text.contains("single-active-consumer"), "{text}");
}

#[tokio::test]
async fn it_is_made_and_shown_and_deleted_when_nobody_is_at_work() {
    let claim = namespace().await;
    let home = Home::at(&claim);
    let queue = async |what: &str| {
        let shown = home.run(&["topology", "show", "--json"]).await.json();
        shown["queues"][0][what].clone()
    };

    let mut manager = home.start(&["manager"]);
    manager.says("ready").await;
    assert_eq!((queue("declared").await, queue("consumers").await), (true.into(), 1.into()));
    let refused = home.run(&["topology", "delete", "--yes"]).await;
    assert_eq!(refused.status, Some(2));
    let namespace = claim.namespace();
    assert!(refused.stderr.starts_with(&format!("error: agents of `{namespace}` are at work: `manager-")));
    assert!(refused.stderr.ends_with("hint: stop them first, or give --force\n"), "{}", refused.stderr);
    manager.signal(Signal::TERM);
    assert_eq!(manager.end().await.status, Some(0));

    let unasked = home.run(&["topology", "delete"]).await;
    assert_eq!(unasked.status, Some(2));
    assert_eq!(
        unasked.stderr,
        format!("error: this deletes `{namespace}`, and there is no terminal to ask on\nhint: give --yes\n")
    );
    assert_eq!(queue("declared").await, true);
    let deleted = home.run(&["topology", "delete", "--yes"]).await;
    assert_eq!(deleted.status, Some(0), "{}", deleted.stderr);
    let unseen = "queues of skills that nobody configures or offers can not be seen here: --skills A,B deletes them\n";
    let told = |queues| format!("deleted {queues} with 0 messages and the exchanges of `{namespace}`\n{unseen}");
    assert_eq!(deleted.stderr, told("14 queues"));
    assert_eq!(queue("declared").await, false);
    // What is not there can be deleted again, and made.
    let again = home.run(&["topology", "delete", "--yes"]).await;
    assert_eq!((again.status, again.stderr), (Some(0), told("0 queues")));
    assert_eq!(home.run(&["topology", "declare"]).await.status, Some(0));
    assert_eq!((queue("declared").await, queue("ready").await), (true.into(), 0.into()));
    claim.release().await;
}

/// A broker does not list its queues: others' skills are known by the store, and by who is asked.
#[tokio::test]
async fn queues_of_skills_that_others_configure_are_deleted_too() {
    let claim = namespace().await;
    let home = Home::at(&claim);
    let file = |skill| {
        format!("name = \"p\"\n[[goals]]\nname = \"g\"\n[[goals.subtasks]]\nname = \"s\"\nskill = \"{skill}\"\n")
    };
    home.write("p.toml", &file("elsewhere"));
    let mut owners = [home.start(&["manager"]), home.start(&["coordinator"])];
    for owner in &mut owners {
        owner.says("ready").await;
    }
    assert_eq!(home.run(&["submit", "p.toml"]).await.status, Some(0));
    let elsewhere = async || {
        let shown = home.run(&["topology", "show", "--json"]).await.json();
        let queues = shown["queues"].as_array().expect("an array").clone();
        let is_it =
            |queue: &&serde_json::Value| queue["name"].as_str().is_some_and(|name| name.ends_with(".elsewhere"));
        queues.iter().find(is_it).expect("it").clone()
    };
    within("a command", async {
        while elsewhere().await["ready"] != 1 {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    })
    .await;
    for owner in owners {
        owner.signal(Signal::TERM);
        assert_eq!(owner.end().await.status, Some(0));
    }

    // Settings without it, and a store that knows of it: it goes with its command.
    home.write("other.toml", "[skills.noop]\nrunner = \"noop\"\n");
    let delete = &["topology", "delete", "--yes", "--config", "other.toml"];
    let deleted = home.run(delete).await;
    assert!(deleted.stderr.starts_with("deleted 13 queues with "), "{}", deleted.stderr);
    assert_eq!(elsewhere().await["declared"], false);

    // Neither of them knows of it: it stays, unless it is named.
    assert_eq!(home.run(&["topology", "declare"]).await.status, Some(0));
    let elsewhere_home = home.with("TRIREME_STORE__URL", "postgres://nobody@127.0.0.1:1/nowhere");
    let left = elsewhere_home.run(delete).await;
    assert!(left.stderr.starts_with("deleted 12 queues with 0 messages and "), "{}", left.stderr);
    let named = elsewhere_home.run(&[&delete[..], &["--skills", "elsewhere,hold"]].concat()).await;
    assert!(named.stderr.starts_with("deleted 2 queues with 0 messages and "), "{}", named.stderr);
    claim.release().await;
}
