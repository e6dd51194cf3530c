//! Servers of a test's own, which it may stop and break: what `scripts/servers` starts.

use std::net::{Ipv4Addr, TcpListener};
use std::process::{Command, Stdio};

use crate::place::root;

/// A RabbitMQ or a PostgreSQL that nobody else uses; gone when this is dropped, or when the test's process is.
pub struct Server {
    kind: &'static str,
    folder: tempfile::TempDir,
    port: u16,
    pub url: String,
}

impl Server {
    pub fn rabbitmq() -> Self {
        Self::start("rabbitmq")
    }

    pub fn postgres() -> Self {
        Self::start("postgres")
    }

    /// A PostgreSQL that follows `primary`, and can take its place.
    pub fn replica_of(primary: &Self) -> Self {
        let mut replica = Self::new("postgres");
        replica.follow(primary);
        replica
    }

    fn start(kind: &'static str) -> Self {
        let mut server = Self::new(kind);
        server.again();
        server
    }

    fn new(kind: &'static str) -> Self {
        // Not where a closed directory would keep the server's own user out.
        let folder = tempfile::Builder::new().prefix("trireme_test_").tempdir().expect("a folder");
        Self { kind, folder, port: free_port(), url: String::new() }
    }

    /// Throws away what it has, copies a PostgreSQL and follows it.
    pub fn follow(&mut self, primary: &Self) {
        self.url = self.run("replica", &[&primary.port.to_string()]).trim().to_owned();
    }

    /// Makes a replica a primary.
    pub fn promote(&self) {
        self.run("promote", &[]);
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// An orderly stop.
    pub fn stop(&self) {
        self.run("stop", &[]);
    }

    /// As if the machine's power were cut.
    pub fn kill(&self) {
        self.run("kill", &[]);
    }

    /// Starts it on the data that it left.
    pub fn again(&mut self) {
        self.url = self.run("start", &[]).trim().to_owned();
    }

    /// Closes every connection of a RabbitMQ.
    pub fn close_all_connections(&self) {
        self.ctl(&["-q", "close_all_connections", "the test says so"]);
    }

    /// Tells a RabbitMQ something.
    pub fn ctl(&self, arguments: &[&str]) {
        self.run("ctl", arguments);
    }

    fn run(&self, what: &str, arguments: &[&str]) -> String {
        let output = self.command(what).args(arguments).output().expect("bash");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "`scripts/servers {} {what}` failed: {said}", self.kind);
        String::from_utf8(output.stdout).expect("text")
    }

    fn command(&self, what: &str) -> Command {
        let mut command = Command::new(root().join("scripts/servers"));
        command
            .args([self.kind, what])
            .arg(self.folder.path())
            .arg(self.port.to_string())
            .env("TRIREME_SERVERS_OWNER", std::process::id().to_string())
            .stdin(Stdio::null());
        command
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A test that fails is to say why it failed.
        let _ = self.command("kill").output();
    }
}

/// A port that is free now, with its second one for Erlang, away from those that the system hands out by itself:
/// the server is started on it again and again.
fn free_port() -> u16 {
    let is_free = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
    let first = 20_000 + (uuid::Uuid::now_v7().as_u128() % 10_000) as u16;
    let mut ports = (first..30_000).chain(20_000..first);
    ports.find(|&port| is_free(port) && is_free(port - 10_000)).expect("a free port")
}
