//! A RabbitMQ and a PostgreSQL of one's own, by `scripts/servers`: they die with this process.

use std::path::{Path, PathBuf};

use tokio::process::Command;

/// Ports are looked for here: below those that a system gives away by itself, so that none is taken while its server
/// is down; and Erlang's, 10,000 below, are free of well-known ones.
const PORTS: std::ops::Range<u16> = 21_000..29_000;

/// Where a server is, whether it runs or not.
#[derive(Clone)]
pub struct Server {
    kind: &'static str,
    folder: PathBuf,
    pub port: u16,
}

impl Server {
    pub fn rabbitmq(folder: &Path, port: u16) -> Self {
        Self { kind: "rabbitmq", folder: folder.join(format!("rabbitmq-{port}")), port }
    }

    pub fn postgres(folder: &Path, port: u16) -> Self {
        Self { kind: "postgres", folder: folder.join(format!("postgres-{port}")), port }
    }

    /// Starts it, and gives its URL once it answers.
    pub async fn start(&self) -> Result<String, String> {
        self.call("start", &[]).await.map(|url| url.trim().to_owned())
    }

    /// Its name among the nodes of a RabbitMQ cluster.
    pub fn node(&self) -> String {
        format!("trireme_{}@localhost", self.port)
    }

    /// Nodes of one cookie can be made a cluster. To be said before the first start.
    pub fn share_cookie(&self, cookie: &str) -> Result<(), String> {
        let write = || {
            std::fs::create_dir_all(&self.folder)?;
            std::fs::write(self.folder.join(".erlang.cookie"), cookie)
        };
        write().map_err(|error| format!("{}: {error}", self.folder.display()))
    }

    pub async fn stop(&self) -> Result<(), String> {
        self.call("stop", &[]).await.map(drop)
    }

    pub async fn kill(&self) -> Result<(), String> {
        self.call("kill", &[]).await.map(drop)
    }

    /// Throws away what a PostgreSQL has, copies the one on that port, and follows it.
    pub async fn follow(&self, primary: u16) -> Result<(), String> {
        self.call("replica", &[&primary.to_string()]).await.map(drop)
    }

    /// Makes a primary of a replica.
    pub async fn promote(&self) -> Result<(), String> {
        self.call("promote", &[]).await.map(drop)
    }

    /// `rabbitmqctl` on it.
    pub async fn ctl(&self, arguments: &[&str]) -> Result<String, String> {
        self.call("ctl", arguments).await
    }

    async fn call(&self, what: &str, arguments: &[&str]) -> Result<String, String> {
        let mut command = Command::new(script());
        command.args([self.kind, what]).arg(&self.folder).arg(self.port.to_string()).args(arguments);
        command.env("TRIREME_SERVERS_OWNER", std::process::id().to_string());
        let output = command.output().await.map_err(|error| format!("{}: {error}", script().display()))?;
        match output.status.success() {
            true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
            false => Err(format!("{} {what}: {}", self.kind, String::from_utf8_lossy(&output.stderr).trim())),
        }
    }
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/servers")
}

/// So many ports that nobody listens on, from a place that differs from process to process.
pub fn free_ports(count: usize) -> Result<Vec<u16>, String> {
    let length = PORTS.end - PORTS.start;
    let first = u16::try_from(std::process::id() * 7 % u32::from(length)).unwrap_or(0);
    let is_free = |port: u16| std::net::TcpListener::bind(("127.0.0.1", port)).is_ok();
    let ports = (0..length).map(|at| PORTS.start + (first + at) % length);
    let free: Vec<u16> = ports.filter(|port| is_free(*port) && is_free(port - 10_000)).take(count).collect();
    if free.len() < count { Err(format!("no {count} free ports in {PORTS:?}")) } else { Ok(free) }
}
