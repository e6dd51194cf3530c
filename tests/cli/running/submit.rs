//! `trireme submit`, when something goes wrong after the request has gone: the project is named all the same.

use std::fs::File;
use std::net::Ipv4Addr;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};
use trireme::transport::rabbit::Claim;

use super::{Home, broker, namespace, within};

const PROJECT: &str = "name = \"p\"\n[[goals]]\nname = \"g\"\n[[goals.subtasks]]\nname = \"s\"\nskill = \"noop\"\n";

/// Where requests are taken, and no store is made.
async fn home(claim: &Claim) -> Home {
    let home = Home::at(claim).with("TRIREME_STORE__URL", "sqlite:none.db");
    home.write("p.toml", PROJECT);
    assert_eq!(home.run(&["topology", "declare"]).await.status, Some(0));
    home
}

/// The project that a text has in this place.
fn named(text: &str, before: &str) -> String {
    let at = text.find(before).unwrap_or_else(|| panic!("no {before:?}: {text}")) + before.len();
    text[at..].chars().take_while(|c| c.is_ascii_hexdigit() || *c == '-').collect()
}

#[tokio::test]
async fn a_store_that_goes_wrong_while_it_is_waited_for() {
    let claim = namespace().await;
    let home = home(&claim).await;
    let waits = home.start(&["submit", "p.toml", "--wait", "--json", "--quiet"]);
    let requests = async || {
        let shown = home.run(&["topology", "show", "--json"]).await.json();
        let queues = shown["queues"].as_array().expect("an array").clone();
        let is_it = |queue: &&serde_json::Value| queue["name"].as_str().is_some_and(|name| name.ends_with(".requests"));
        queues.iter().find(is_it).expect("it")["ready"].clone()
    };
    within("a request", async { while requests().await != 1 {} }).await;
    home.write("none.db", "no database, and longer than the header of one, which says what it is: one hundred bytes\n");
    let done = waits.end().await;
    assert_eq!((done.status, done.stdout.as_str()), (Some(3), ""), "{}", done.stderr);
    let id = named(done.complaint(), "project `");
    let hint = format!("project `{id}` is submitted: `trireme watch {id}` follows it");
    let last = done.complaint().lines().last().and_then(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    assert!(
        last.is_some_and(|last| last["hint"].as_str().is_some_and(|text| text.ends_with(&hint))),
        "{}",
        done.stderr
    );
    claim.release().await;
}

#[tokio::test]
async fn an_id_that_can_not_be_written() {
    let claim = namespace().await;
    let home = home(&claim).await;
    for words in [&["submit", "p.toml"][..], &["submit", "p.toml", "--json"]] {
        let full = File::options().write(true).open("/dev/full").expect("a device");
        let submit = home.command(words).stdout(full).spawn().expect("it starts");
        let output = within("submit", submit.wait_with_output()).await.expect("it ends");
        let told = String::from_utf8(output.stderr).expect("UTF-8");
        assert_eq!(output.status.code(), Some(3), "{told}");
        assert!(told.starts_with("error: standard output can not be written: "), "{told}");
        assert_eq!(named(&told, "project `"), named(&told, "trireme watch "), "{told}");
    }
    claim.release().await;
}

#[tokio::test]
async fn a_confirm_that_is_lost() {
    let claim = namespace().await;
    let home = home(&claim).await;
    let direct = broker();
    let (login, server) = direct.rsplit_once('@').expect("a user");
    let (server, host) = server.split_once('/').expect("a virtual host");
    let server = if server.contains(':') { server.to_owned() } else { format!("{server}:5672") };
    let through = format!("{login}@127.0.0.1:{}/{host}", cut_after("\"NewProject\"", server).await);
    let home = home.with("TRIREME_BROKER__URL", &through);
    let lost = home.run(&["submit", "p.toml"]).await;
    assert_eq!((lost.status, lost.stdout.as_str()), (Some(3), ""), "{}", lost.stderr);
    let id = named(lost.complaint(), "submit it again with `--id ");
    assert!(lost.complaint().ends_with(&format!("`--id {id}`: it stays one project\n")), "{}", lost.stderr);
    let again = home.with("TRIREME_BROKER__URL", &direct).run(&["submit", "p.toml", "--id", &id]).await;
    assert_eq!((again.status, again.stdout), (Some(0), format!("{id}\n")), "{}", again.stderr);
    claim.release().await;
}

/// The port of a relay to a server: a connection whose client has said these words hears nothing more, and ends.
async fn cut_after(words: &'static str, server: String) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(&server).await.expect("the broker");
            let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
                (client.into_split(), server.into_split());
            tokio::spawn(async move {
                let said = async {
                    let mut buffer = vec![0; 64 * 1024];
                    while let Ok(count @ 1..) = from_client.read(&mut buffer).await {
                        let has_words = buffer[..count].windows(words.len()).any(|part| part == words.as_bytes());
                        if has_words || to_server.write_all(&buffer[..count]).await.is_err() {
                            break;
                        }
                    }
                };
                tokio::select! {
                    () = said => {}
                    _ = copy(&mut from_server, &mut to_client) => {}
                }
            });
        }
    });
    port
}
