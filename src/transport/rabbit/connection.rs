//! The connections: at most three, each made when it is first needed, and anew when one died.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lapin::types::ShortString;
use lapin::uri::{AMQPScheme, AMQPUri};
use lapin::{Channel, Connection, ConnectionProperties};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::time::timeout;
use tracing::debug;

use super::error;
use crate::runtime::port::TransportError;

/// TCP, TLS and the handshake take far less; a host that swallows packets must not hold a caller for longer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// One question and its answer on a connection that works: a broker that is busy recovering takes seconds.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);
/// Seconds of silence after which a peer counts as dead. The broker's own default notices after two minutes.
const HEARTBEAT_SECONDS: u16 = 10;

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Publish,
    Consume,
    Admin,
}

pub(super) struct Connections {
    uri: AMQPUri,
    name: String,
    login: ShortString,
    publish: Slot,
    consume: Slot,
    admin: Slot,
    /// The last attempt met a host that accepts and says nothing.
    silent: AtomicBool,
}

/// The lock is held while connecting, so that callers who come at the same time share one attempt.
type Slot = Mutex<Option<Arc<Connection>>>;

impl Connections {
    pub fn new(url: &str, name: String) -> Result<Self, TransportError> {
        let uri = read(url)?;
        let login = ShortString::try_new(uri.authority.userinfo.username.clone())
            .map_err(|_| TransportError::Refused("the user in the broker's URL is longer than 255 bytes".into()))?;
        Ok(Self {
            uri,
            name,
            login,
            publish: Slot::default(),
            consume: Slot::default(),
            admin: Slot::default(),
            silent: AtomicBool::default(),
        })
    }

    /// Who we are at the broker.
    pub fn login(&self) -> ShortString {
        self.login.clone()
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
        match timeout(ANSWER_TIMEOUT, connection.create_channel()).await {
            Ok(answer) => answer.map_err(|error| error::of_asking("opening a channel", &error)),
            Err(_) => {
                // It may be half open: nobody is to wait for it a second time.
                let mut slot = self.slot(purpose).lock().await;
                if slot.as_ref().is_some_and(|current| Arc::ptr_eq(current, connection)) {
                    *slot = None;
                }
                Err(TransportError::Unreachable(format!("`{}` does not answer", error::place(&self.uri))))
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

    async fn connect(&self, purpose: Purpose) -> Result<Connection, TransportError> {
        let place = error::place(&self.uri);
        debug!(place, ?purpose, name = self.name, "connecting to the broker");
        let name = format!("{} {purpose:?}", self.name).to_lowercase();
        let properties = ConnectionProperties::default().with_connection_name(name.into());
        let silence = || {
            let seconds = CONNECT_TIMEOUT.as_secs();
            let what = format!("`{place}` did not answer for {seconds} s\nhint: does RabbitMQ listen there?");
            Err(TransportError::Unreachable(what))
        };
        // An attempt of lapin's that nobody answers keeps its thread and its socket: there is to be one of them, not
        // one each time.
        if self.silent.load(Ordering::Relaxed) && !self.speaks().await {
            return silence();
        }
        let answer = timeout(CONNECT_TIMEOUT, Connection::connect_uri(self.uri.clone(), properties)).await;
        self.silent.store(answer.is_err(), Ordering::Relaxed);
        match answer {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(error::of_connecting(&error, &self.uri)),
            Err(_) => silence(),
        }
    }

    /// Whether something at the broker's place says a word when it is spoken to. With TLS it is the server's turn only
    /// after a greeting that is not ours to write, so there a connection that is taken has to do.
    async fn speaks(&self) -> bool {
        let authority = &self.uri.authority;
        let word = async {
            let mut stream = TcpStream::connect((authority.host.as_str(), authority.port)).await?;
            if self.uri.scheme == AMQPScheme::AMQPS {
                return Ok(1);
            }
            stream.write_all(b"AMQP\x00\x00\x09\x01").await?;
            stream.read(&mut [0; 8]).await
        };
        matches!(timeout(CONNECT_TIMEOUT, word).await, Ok(Ok(1..)))
    }

    /// Says goodbye on every connection that is open.
    pub async fn close(&self) {
        for purpose in [Purpose::Publish, Purpose::Consume, Purpose::Admin] {
            let Some(connection) = self.slot(purpose).lock().await.take() else { continue };
            match timeout(ANSWER_TIMEOUT, connection.close(200, "OK".into())).await {
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
    let patience = u64::try_from(CONNECT_TIMEOUT.as_millis()).expect("ten seconds fit");
    uri.query.connection_timeout.get_or_insert(patience);
    Ok(uri)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_that_can_not_be_used_is_refused_without_its_password() {
        for bad in
            ["", "secret", "localhost:5672", "guest:secret@host/x", "http://a:secret@b/", "amqp://a:secret@b:99999/"]
        {
            let error = read(bad).expect_err(bad).to_string();
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
        let error = read("amqps://host").expect_err("no TLS").to_string();
        assert!(error.contains("cargo build --release --features tls"), "{error}");
    }
}
