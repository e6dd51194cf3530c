//! A TCP relay in front of a server: it can stop forwarding and say nothing, as a network does that has lost its way.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

pub struct Relay {
    pub port: u16,
    /// How often it was frozen.
    frozen: watch::Sender<u32>,
}

impl Relay {
    pub async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (frozen, freezes) = watch::channel(0);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(server) = TcpStream::connect(server).await else { continue };
                // A connection lives until the next freeze, and is half open from then on.
                let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
                tokio::spawn(forward(from_client, to_server, freezes.clone()));
                tokio::spawn(forward(from_server, to_client, freezes.clone()));
            }
        });
        Self { port, frozen }
    }

    /// Nothing goes through the connections of now any more, and neither end is told. New ones work.
    pub fn freeze(&self) {
        self.frozen.send_modify(|frozen| *frozen += 1);
    }
}

async fn forward(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut freezes: watch::Receiver<u32>) {
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
        match read {
            Ok(count @ 1..) if to.write_all(&buffer[..count]).await.is_ok() => {}
            _ => return,
        }
    }
}
