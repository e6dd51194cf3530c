//! The nodes of a broker: one, or those of a cluster. A new connection goes to the node where the last one was made,
//! and to the next when that one does not take it.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use lapin::types::ShortString;
use lapin::uri::{AMQPScheme, AMQPUri};

use super::connection::CONNECT_TIMEOUT;
use crate::runtime::port::TransportError;

/// Seconds of silence after which a peer counts as dead. The broker's own default notices after two minutes.
const HEARTBEAT_SECONDS: u16 = 10;
/// The longest frame, in bytes. The library holds 64 of them for each connection whatever it has to do: with the broker's
/// own 128 KiB an idle process with its three connections would be 24 MiB larger. What is longer goes in several.
const FRAME_BYTES_MAX: u32 = 16 * 1024;
/// Parts the URLs of several nodes. In a URL it is `%2c`.
const SEPARATOR: char = ',';

pub(super) struct Node {
    pub uri: AMQPUri,
    /// The last attempt met a host that accepts and says nothing.
    pub silent: AtomicBool,
}

pub(super) struct Nodes {
    all: Vec<Node>,
    /// Where the last connection was made.
    last: AtomicUsize,
    login: ShortString,
}

impl Nodes {
    /// Reads one URL, or several with commas between them.
    pub fn new(urls: &str) -> Result<Self, TransportError> {
        let uris = urls.split(SEPARATOR).map(|url| read(url.trim())).collect::<Result<Vec<_>, _>>()?;
        let user = |uri: &AMQPUri| uri.authority.userinfo.username.clone();
        let name = user(&uris[0]);
        if uris.iter().any(|uri| user(uri) != name) {
            // What a process publishes is signed with one name, wherever it is connected.
            return Err(TransportError::Refused(
                "the broker's URLs are of several users\nhint: one for all nodes".into(),
            ));
        }
        let login = ShortString::try_new(name)
            .map_err(|_| TransportError::Refused("the user in the broker's URL is longer than 255 bytes".into()))?;
        let all = uris.into_iter().map(|uri| Node { uri, silent: AtomicBool::default() }).collect();
        Ok(Self { all, last: AtomicUsize::default(), login })
    }

    /// Who we are at the broker.
    pub fn login(&self) -> ShortString {
        self.login.clone()
    }

    /// All of them, in the order in which they are to be tried.
    pub fn in_turn(&self) -> impl Iterator<Item = (usize, &Node)> {
        let (first, count) = (self.last.load(Ordering::Relaxed), self.all.len());
        (0..count).map(move |at| (first + at) % count).map(|at| (at, &self.all[at]))
    }

    pub fn took(&self, at: usize) {
        self.last.store(at, Ordering::Relaxed);
    }

    /// What to say when none of them took us: a node that is only away may take us later, whatever the others said.
    pub fn none(errors: Vec<TransportError>) -> TransportError {
        let away = errors.iter().position(|error| matches!(error, TransportError::Unreachable(_)));
        let error = errors.into_iter().nth(away.unwrap_or(0));
        error.unwrap_or_else(|| TransportError::Unreachable("no node is known".into()))
    }
}

fn read(url: &str) -> Result<AMQPUri, TransportError> {
    let mut uri: AMQPUri = url.parse().map_err(|reason: String| {
        // Some reasons repeat the URL, and with it the password.
        let reason = if reason.contains(url) { "it is no URL".into() } else { reason };
        TransportError::Refused(format!(
            "the broker's URL can not be read: {reason}\nhint: `amqp://user:password@host:5672/%2f`"
        ))
    })?;
    if uri.scheme == AMQPScheme::AMQPS && !cfg!(feature = "tls") {
        return Err(TransportError::Refused(
            "`amqps:` needs TLS, which is not built in\nhint: `cargo build --release --features tls`".into(),
        ));
    }
    uri.query.heartbeat.get_or_insert(HEARTBEAT_SECONDS);
    uri.query.frame_max.get_or_insert(FRAME_BYTES_MAX);
    let patience = u64::try_from(CONNECT_TIMEOUT.as_millis()).expect("ten seconds fit");
    uri.query.connection_timeout.get_or_insert(patience);
    Ok(uri)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(urls: &str) -> String {
        Nodes::new(urls).err().expect(urls).to_string()
    }

    #[test]
    fn a_url_that_can_not_be_used_is_refused_without_its_password() {
        let bad =
            ["", "secret", "localhost:5672", "guest:secret@host/x", "http://a:secret@b/", "amqp://a:secret@b:99999/"];
        for bad in bad.into_iter().chain(["amqp://a:secret@b,", "amqp://a@b,c", "amqp://a:secret@b,amqp://c:secret@d"])
        {
            let error = error(bad);
            assert!(!error.contains("secret"), "{error}");
            assert!(error.contains("hint: "), "{error}");
        }
    }

    #[test]
    fn the_heartbeat_is_ours_unless_the_url_says_otherwise() {
        let heartbeat = |url| read(url).map(|uri| uri.query.heartbeat);
        assert_eq!(heartbeat("amqp://host"), Ok(Some(HEARTBEAT_SECONDS)));
        assert_eq!(heartbeat("amqp://host/%2f?heartbeat=30"), Ok(Some(30)));
    }

    #[cfg(not(feature = "tls"))]
    #[test]
    fn tls_that_is_not_built_in_names_the_build() {
        let error = error("amqps://host");
        assert!(error.contains("cargo build --release --features tls"), "{error}");
    }

    #[test]
    fn nodes_are_tried_in_turn_from_the_one_that_took_us_last() {
        let nodes = Nodes::new("amqp://a, amqp://b,amqp://c:5673/x").expect("three nodes");
        let turn = || nodes.in_turn().map(|(_, node)| node.uri.authority.host.clone()).collect::<Vec<_>>();
        assert_eq!(turn(), ["a", "b", "c"]);
        nodes.took(2);
        assert_eq!(turn(), ["c", "a", "b"]);
    }

    #[test]
    fn a_refusal_counts_only_when_no_node_is_away() {
        let refused = || TransportError::Refused("no".into());
        let away = || TransportError::Unreachable("away".into());
        assert_eq!(Nodes::none(vec![refused(), away()]), away());
        assert_eq!(Nodes::none(vec![refused(), refused()]), refused());
    }
}
