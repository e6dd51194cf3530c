//! A TCP relay in front of a server: it can stop forwarding and say nothing, as a network does that has lost its way,
//! and it can cut a client off before its next ack.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// How the frame of a `basic.ack` goes on after its channel: 13 bytes, class 60, method 80.
const ACK: [u8; 8] = [0, 0, 0, 13, 0, 60, 0, 80];

pub struct Relay {
    pub port: u16,
    /// How often it was frozen.
    frozen: watch::Sender<u32>,
    trap: Arc<Mutex<Trap>>,
}

/// The connection whose client acks something after these words have gone to the server is cut, once.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Trap {
    None,
    Words(&'static str),
    /// They have gone.
    Ack,
    Sprung,
}

impl Trap {
    /// A client sends this. Whether its connection is cut before it.
    fn springs(&mut self, bytes: &[u8]) -> bool {
        let has = |sought: &[u8]| bytes.windows(sought.len()).any(|window| window == sought);
        *self = match *self {
            Self::Words(words) if has(words.as_bytes()) => Self::Ack,
            Self::Ack if has(&ACK) => Self::Sprung,
            _ => return false,
        };
        *self == Self::Sprung
    }
}

impl Relay {
    pub async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (frozen, freezes) = watch::channel(0);
        let trap = Arc::new(Mutex::new(Trap::None));
        let set = trap.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(server) = TcpStream::connect(server).await else { continue };
                // A connection lives until the next freeze, and is half open from then on.
                let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
                tokio::spawn(forward(from_client, to_server, freezes.clone(), Some(set.clone())));
                tokio::spawn(forward(from_server, to_client, freezes.clone(), None));
            }
        });
        Self { port, frozen, trap }
    }

    /// Nothing goes through the connections of now any more, and neither end is told. New ones work.
    pub fn freeze(&self) {
        self.frozen.send_modify(|frozen| *frozen += 1);
    }

    /// The first ack after these words cuts its connection, and does not arrive.
    pub fn cut_the_ack_after(&self, words: &'static str) {
        *self.trap.lock().expect("whole") = Trap::Words(words);
    }

    pub fn has_cut(&self) -> bool {
        *self.trap.lock().expect("whole") == Trap::Sprung
    }
}

async fn forward(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut freezes: watch::Receiver<u32>,
    trap: Option<Arc<Mutex<Trap>>>,
) {
    freezes.mark_unchanged();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = tokio::select! {
            biased;
            frozen = freezes.changed() => {
                // Both sockets stay open for as long as the relay is there.
                if frozen.is_ok() {
                    while freezes.changed().await.is_ok() {}
                }
                return;
            }
            read = from.read(&mut buffer) => read,
        };
        let Ok(count @ 1..) = read else { return };
        let springs = trap.as_ref().is_some_and(|trap| trap.lock().expect("whole").springs(&buffer[..count]));
        if springs || to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}
