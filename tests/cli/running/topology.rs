//! `trireme topology`: shown without a broker too, made, and deleted only when nobody is at work.

use rustix::process::Signal;

use super::{Home, namespace};

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
        format!("error: deleting `{namespace}` is not asked for on a terminal\nhint: give --yes\n")
    );
    assert_eq!(queue("declared").await, true);
    let deleted = home.run(&["topology", "delete", "--yes"]).await;
    assert_eq!(deleted.status, Some(0), "{}", deleted.stderr);
    assert_eq!(queue("declared").await, false);
    // What is not there can be deleted again, and made.
    assert_eq!(home.run(&["topology", "delete", "--yes"]).await.status, Some(0));
    assert_eq!(home.run(&["topology", "declare"]).await.status, Some(0));
    assert_eq!((queue("declared").await, queue("ready").await), (true.into(), 0.into()));
    claim.release().await;
}
