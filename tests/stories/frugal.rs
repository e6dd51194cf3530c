//! What a subtask costs in messages and commits. However fast the machine is, they are as many; so this is what may not
//! get worse unseen.

use crate::place::{Place, Shared, on_every_broker};

const SUBTASKS: u32 = 2_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subtasks_share_messages_and_commits() {
    on_every_broker(async |url| shared(Place::new(url, Shared::Postgres, "frugal").await).await).await;
}

async fn shared(place: Place) {
    // Options, subtasks, and so many messages and commits a subtask at the most. A packed fan-out has 0.05 and 0.01, one
    // without packing 1.04 and 0.02, a hop of a chain 3.1 and 1.02, a subtask of many small projects 0.6 and 0.05.
    for (options, subtasks, messages, commits) in [
        (&[][..], SUBTASKS, 0.2, 0.1),
        (&["--batch", "1"], SUBTASKS, 1.25, 0.1),
        (&["--shape", "chain"], 200, 4.0, 1.3),
        (&["--shape", "many"], SUBTASKS, 1.0, 0.2),
    ] {
        let subtasks_text = subtasks.to_string();
        let mut arguments = vec!["bench", "--pairs", "1", "--json", "--subtasks", &subtasks_text];
        arguments.extend(options);
        let report = place.json(&arguments);
        let each = |name: &str| report[name].as_f64().expect("a number") / f64::from(subtasks);
        let (sent, committed) = (each("messages"), each("commits"));
        eprintln!("{options:?}: {sent:.3} messages and {committed:.3} commits a subtask");
        assert!(sent > 0.0 && sent <= messages, "{options:?}: {sent} messages a subtask, and not {messages}");
        assert!(committed > 0.0 && committed <= commits, "{options:?}: {committed} commits, and not {commits}");
    }
    place.leave().await;
}
