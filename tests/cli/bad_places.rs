//! Brokers and stores that are down, or that say no. The broker's own refusals need a real RabbitMQ: the first of
//! `TRIREME_TEST_AMQP_URLS`, else the one at the usual place; without one these tests fail.

use crate::call::{NOBODY, Place};

const PROJECT: &str = "name = \"p\"\n[[goals]]\nname = \"g\"\n[[goals.subtasks]]\nname = \"a\"\nskill = \"noop\"\n";

/// Where RabbitMQ is.
pub fn url() -> String {
    let urls =
        std::env::var("TRIREME_TEST_AMQP_URLS").unwrap_or_else(|_| "amqp://guest:guest@127.0.0.1:5672/%2f".into());
    urls.split(',').next().expect("one").trim().to_owned()
}

/// `user:password`, `host:port` and the virtual host of the broker.
fn broker() -> (String, String, String) {
    let url = url();
    let rest = url.strip_prefix("amqp://").expect("an amqp: URL");
    let (login, rest) = rest.split_once('@').expect("a user and a password");
    let (host, vhost) = rest.split_once('/').unwrap_or((rest, "%2f"));
    (login.into(), host.into(), vhost.into())
}

#[test]
fn a_broker_that_is_down() {
    let place = Place::new();
    place.write("p.toml", PROJECT);
    let mut refusals = String::new();
    for arguments in [&["submit", "p.toml"][..], &["agents"], &["ping"], &["manager"], &["coordinator"], &["executor"]]
    {
        let answer = place.run(arguments);
        assert_eq!(answer.status, 3, "{arguments:?}: {}", answer.stderr);
        refusals += &answer.refusal(&arguments.join(" "));
    }
    insta::assert_snapshot!("broker_down", refusals);
}

#[test]
fn a_broker_that_says_no() {
    let (login, host, vhost) = broker();
    let user = login.split(':').next().expect("a user");
    let place = Place::new();
    let ping = |url: String| place.answer(place.command(&["ping"]).env("TRIREME_BROKER__URL", url));
    let nobody = ping(format!("amqp://{login}@{host}/{vhost}"));
    assert!(
        !nobody.stderr.contains("not reachable"),
        "these tests need RabbitMQ, see TRIREME_TEST_AMQP_URLS: {}",
        nobody.stderr
    );
    let mut refusals = String::new();
    for (what, url) in [
        ("a wrong password", format!("amqp://{user}:wr0ng@{host}/{vhost}")),
        ("a missing virtual host", format!("amqp://{login}@{host}/nowhere")),
    ] {
        let answer = ping(url);
        assert_eq!(answer.status, 3, "{what}: {}", answer.stderr);
        assert!(!answer.stderr.contains("wr0ng"), "{what}: the password is shown");
        refusals += &answer.refusal(what).replace(&host, "[BROKER]").replace(&format!("`{user}`"), "`[USER]`");
    }
    insta::assert_snapshot!("broker_refuses", refusals);
}

#[test]
fn a_store_that_is_down() {
    let place = Place::new();
    let url = format!("postgres://me:s3cret@{NOBODY}/trireme");
    let mut refusals = String::new();
    for arguments in [&["list"][..], &["status", "0b5e1a6e-7b1c-4a53-9d8e-2f1c3a4b5c6d"], &["manager"]] {
        let answer = place.answer(place.command(arguments).env("TRIREME_STORE__URL", &url));
        assert_eq!(answer.status, 3, "{arguments:?}: {}", answer.stderr);
        assert!(!answer.stderr.contains("s3cret"), "the password is shown");
        refusals += &answer.refusal(arguments[0]);
    }
    insta::assert_snapshot!("store_down", refusals);
}

#[test]
fn a_database_that_is_not_there() {
    let server = std::env::var("TRIREME_TEST_POSTGRES_URL")
        .unwrap_or_else(|_| "postgres://postgres@127.0.0.1:5432/postgres".into());
    let (server, _) = server.rsplit_once('/').expect("a database in the URL");
    let place = Place::new();
    let answer =
        place.answer(place.command(&["list"]).env("TRIREME_STORE__URL", format!("{server}/trireme_test_nowhere")));
    answer.refusal("no database");
    assert_eq!(answer.status, 3, "{}", answer.stderr);
    assert!(answer.stderr.ends_with("\nhint: `createdb trireme_test_nowhere` makes it\n"), "{}", answer.stderr);
}

#[test]
fn a_store_that_is_none() {
    let place = Place::new();
    place.write("text.db", "This is a text, and it is long enough not to be taken for an empty database.".repeat(20));
    let other = rusqlite::Connection::open(place.path().join("other.db")).expect("opened");
    other.execute_batch("create table notes (text)").expect("a table");
    let mut refusals = String::new();
    for (what, url, command) in [
        ("not made yet", "sqlite:none.db", "list"),
        ("a folder", "sqlite:.", "list"),
        ("in no folder", "sqlite:none/t.db", "manager"),
        ("no database", "sqlite:text.db", "list"),
        ("no database, for a worker", "sqlite:text.db", "manager"),
        ("another program's", "sqlite:other.db", "list"),
        ("another program's, for a worker", "sqlite:other.db", "manager"),
    ] {
        let answer = place.answer(place.command(&[command]).env("TRIREME_STORE__URL", url));
        assert_eq!(answer.status, 3, "{what}: {}", answer.stderr);
        refusals += &answer.refusal(what);
    }
    insta::assert_snapshot!("no_store", refusals);
    assert!(!place.path().join("none.db").exists(), "looking has made a store");
}

#[tokio::test]
async fn a_store_that_is_newer_than_the_program() {
    let place = Place::new();
    let path = place.path().join("t.db");
    drop(trireme::store::open(&format!("sqlite:{}", path.display())).await.expect("a store"));
    let newer = rusqlite::Connection::open(&path).expect("opened");
    let version =
        "insert into refinery_schema_history (version, name, applied_on, checksum) values (99, 'later', '', '0')";
    newer.execute(version, []).expect("a version");
    let mut refusals = String::new();
    for command in ["list", "manager"] {
        let answer = place.answer(place.command(&[command]).env("TRIREME_STORE__URL", "sqlite:t.db"));
        assert_eq!(answer.status, 3, "{command}: {}", answer.stderr);
        refusals += &answer.refusal(command);
    }
    insta::assert_snapshot!("newer_store", refusals);
}
