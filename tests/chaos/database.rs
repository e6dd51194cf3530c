//! A PostgreSQL with a replica that has whatever the primary has committed, and takes its place.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio_postgres::{Client, NoTls};

use crate::servers::Server;

/// A commit is to come this soon after a failover; it is printed in any case.
const LOOK_EVERY: Duration = Duration::from_millis(20);
const LOOKS: u32 = 1_500;

#[derive(Clone)]
pub struct Database {
    servers: [Server; 2],
    primary: Arc<AtomicUsize>,
}

impl Database {
    pub fn new(folder: &Path, ports: [u16; 2]) -> Self {
        Self { servers: ports.map(|port| Server::postgres(folder, port)), primary: Arc::default() }
    }

    /// Starts both, and gives the URL of the two.
    pub async fn start(&self) -> Result<String, String> {
        self.primary().start().await?;
        self.replicate().await?;
        let [first, second] = &self.servers;
        Ok(format!("postgres://postgres@127.0.0.1:{},127.0.0.1:{}/postgres", first.port, second.port))
    }

    pub fn primary(&self) -> &Server {
        &self.servers[self.primary.load(Ordering::Acquire)]
    }

    fn replica(&self) -> &Server {
        &self.servers[1 - self.primary.load(Ordering::Acquire)]
    }

    /// Kills the primary, makes a primary of the replica, and a replica of what was the primary. Gives how long it took
    /// from the promotion to the next commit of the workers, in milliseconds.
    pub async fn fail_over(&self) -> Result<u64, String> {
        self.primary().kill().await?;
        self.replica().promote().await?;
        let promoted = Instant::now();
        self.primary.store(1 - self.primary.load(Ordering::Acquire), Ordering::Release);
        // Nobody follows it yet: a commit would wait.
        let client = self.session().await?;
        set(&client, "alter system reset synchronous_standby_names").await?;
        let before = commits(&client).await?;
        let mut looks = 0;
        while commits(&client).await? <= before {
            looks += 1;
            if looks > LOOKS {
                return Err("nobody commits anything after a failover".into());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        let took = promoted.elapsed();
        self.replicate().await?;
        Ok(u64::try_from(took.as_millis()).unwrap_or(u64::MAX))
    }

    /// The other server follows the primary, whose commits wait for it from then on.
    async fn replicate(&self) -> Result<(), String> {
        self.replica().follow(self.primary().port).await?;
        let client = self.session().await?;
        set(&client, "alter system set synchronous_standby_names = '*'").await
    }

    pub async fn kill(&self) -> Result<(), String> {
        tokio::try_join!(self.servers[0].kill(), self.servers[1].kill()).map(drop)
    }

    async fn session(&self) -> Result<Client, String> {
        let url = format!("postgres://postgres@127.0.0.1:{}/postgres", self.primary().port);
        let (client, connection) = tokio_postgres::connect(&url, NoTls).await.map_err(|error| error.to_string())?;
        tokio::spawn(connection);
        Ok(client)
    }
}

async fn set(client: &Client, statement: &str) -> Result<(), String> {
    for statement in [statement, "select pg_reload_conf()"] {
        client.simple_query(statement).await.map_err(|error| format!("{statement}: {error}"))?;
    }
    Ok(())
}

/// How many events the streams have: more with every commit.
async fn commits(client: &Client) -> Result<i64, String> {
    let sum = "select coalesce(sum(version), 0)::bigint from trireme.streams";
    client.query_one(sum, &[]).await.map(|row| row.get(0)).map_err(|error| error.to_string())
}
