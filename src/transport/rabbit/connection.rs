//! The connections: at most three, each made when it is first needed, and anew when one died.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use lapin::types::ShortString;
use lapin::uri::AMQPScheme;
use lapin::{Channel, Connection, ConnectionProperties};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::time::timeout;
use tracing::debug;

use super::error;
use super::node::{Node, Nodes};
use crate::runtime::port::TransportError;

/// TCP, TLS and the handshake take far less; a host that swallows packets must not hold a caller for longer.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// One question and its answer on a connection that works: a broker that is busy recovering takes seconds.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);
/// A goodbye is waited for no longer: the library may have closed the connection without saying so (seen twice with
/// lapin 4.12, under load).
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(2);

/// What there is to say while the broker reads nothing from those that publish.
pub(super) const BLOCKED: &str = "it takes no messages: it is short of memory or disk\nhint: `rabbitmqctl status`";

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Publish,
    Consume,
    Admin,
}

pub(super) struct Connections {
    nodes: Nodes,
    name: String,
    publish: Slot,
    consume: Slot,
    admin: Slot,
}

/// The lock is held while connecting, so that callers who come at the same time share one attempt.
type Slot = Mutex<Option<Arc<Connection>>>;

impl Connections {
    /// `urls` is one, or one a node with commas between them.
    pub fn new(urls: &str, name: String) -> Result<Self, TransportError> {
        let nodes = Nodes::new(urls)?;
        Ok(Self { nodes, name, publish: Slot::default(), consume: Slot::default(), admin: Slot::default() })
    }

    /// Who we are at the broker.
    pub fn login(&self) -> ShortString {
        self.nodes.login()
    }

    /// Whether the broker has stopped reading what is published, and says so. It tells only who has published.
    pub fn is_blocked(&self) -> bool {
        // Whoever holds the lock is connecting.
        let slot = self.publish.try_lock();
        slot.is_ok_and(|slot| slot.as_ref().is_some_and(|connection| connection.status().blocked()))
    }

    /// A new channel. A connection that turns out to be dead is replaced once.
    pub async fn channel(&self, purpose: Purpose) -> Result<Channel, TransportError> {
        let connection = self.connection(purpose).await?;
        match self.open(purpose, &connection).await {
            Err(_) if !connection.status().connected() => {
                let connection = self.connection(purpose).await?;
                self.open(purpose, &connection).await
            }
            answer => answer,
        }
    }

    async fn open(&self, purpose: Purpose, connection: &Arc<Connection>) -> Result<Channel, TransportError> {
        if connection.status().blocked() {
            // Nothing is written on it, and on another one it would be the same: it is not given up.
            return Err(TransportError::Unreachable(BLOCKED.into()));
        }
        match timeout(ANSWER_TIMEOUT, connection.create_channel()).await {
            Ok(answer) => {
                answer.map_err(|error| error::of_asking(error::Right::Configure, "opening a channel", &error))
            }
            Err(_) => {
                // It may be half open: nobody is to wait for it a second time.
                let mut slot = self.slot(purpose).lock().await;
                if slot.as_ref().is_some_and(|current| Arc::ptr_eq(current, connection)) {
                    *slot = None;
                }
                Err(TransportError::Unreachable("its connection does not answer".into()))
            }
        }
    }

    async fn connection(&self, purpose: Purpose) -> Result<Arc<Connection>, TransportError> {
        let mut slot = self.slot(purpose).lock().await;
        if let Some(connection) = slot.as_ref().filter(|connection| connection.status().connected()) {
            return Ok(connection.clone());
        }
        *slot = None;
        let connection = Arc::new(self.connect(purpose).await?);
        *slot = Some(connection.clone());
        Ok(connection)
    }

    /// To the first node that takes us.
    async fn connect(&self, purpose: Purpose) -> Result<Connection, TransportError> {
        let mut errors = Vec::new();
        for (at, node) in self.nodes.in_turn() {
            match self.connect_to(node, purpose).await {
                Ok(connection) => {
                    self.nodes.took(at);
                    return Ok(connection);
                }
                Err(error) => errors.push(error),
            }
        }
        Err(Nodes::none(errors))
    }

    async fn connect_to(&self, node: &Node, purpose: Purpose) -> Result<Connection, TransportError> {
        let place = error::place(&node.uri);
        debug!(place, ?purpose, name = self.name, "connecting to the broker");
        let name = format!("{} {purpose:?}", self.name).to_lowercase();
        let properties = ConnectionProperties::default().with_connection_name(name.into());
        let silence = || {
            let seconds = CONNECT_TIMEOUT.as_secs();
            let what = format!(
                "`{place}` did not answer for {seconds} s\nhint: does RabbitMQ listen there, and has it file handles left?"
            );
            Err(TransportError::Unreachable(what))
        };
        // An attempt of lapin's that nobody answers keeps its thread and its socket: there is to be one of them, not
        // one each time.
        if node.silent.load(Ordering::Relaxed) && !speaks(node).await {
            return silence();
        }
        let answer = timeout(CONNECT_TIMEOUT, Connection::connect_uri(node.uri.clone(), properties)).await;
        node.silent.store(answer.is_err(), Ordering::Relaxed);
        match answer {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(error::of_connecting(&error, &node.uri)),
            Err(_) => silence(),
        }
    }

    /// Says goodbye on every connection that is open.
    pub async fn close(&self) {
        for purpose in [Purpose::Publish, Purpose::Consume, Purpose::Admin] {
            let Some(connection) = self.slot(purpose).lock().await.take() else { continue };
            match timeout(GOODBYE_TIMEOUT, connection.close(200, "OK".into())).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => debug!(?purpose, %error, "the connection was closed already"),
                Err(_) => debug!(?purpose, "the broker did not answer to the goodbye"),
            }
        }
    }

    fn slot(&self, purpose: Purpose) -> &Slot {
        match purpose {
            Purpose::Publish => &self.publish,
            Purpose::Consume => &self.consume,
            Purpose::Admin => &self.admin,
        }
    }
}

/// Whether something at the node's place says a word when it is spoken to. With TLS it is the server's turn only after
/// a greeting that is not ours to write, so there a connection that is taken has to do.
async fn speaks(node: &Node) -> bool {
    let authority = &node.uri.authority;
    let word = async {
        let mut stream = TcpStream::connect((authority.host.as_str(), authority.port)).await?;
        if node.uri.scheme == AMQPScheme::AMQPS {
            return Ok(1);
        }
        stream.write_all(b"AMQP\x00\x00\x09\x01").await?;
        stream.read(&mut [0; 8]).await
    };
    matches!(timeout(CONNECT_TIMEOUT, word).await, Ok(Ok(1..)))
}
