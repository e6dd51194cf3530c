//! Opening the database: the URL, the settings of every session, the checks, the schema. A reader changes nothing.

use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime};
use tokio_postgres::config::{Host, LoadBalanceHosts, SslMode, TargetSessionAttrs};
use tokio_postgres::{Config, NoTls};

use super::error::{Failure, describe, no_connection, of_read};
use crate::runtime::port::StoreError;
use crate::store::migrations::{POSTGRES, Schema, judge, runner, too_old};
use crate::store::{Access, unusable};

/// Connections of one process. It has one commit at a time per channel, and a server's connections are few.
pub const CONNECTIONS_MAX: usize = 4;
/// How long a call waits for a connection, free or new: as long as for a statement.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long each of several hosts has to take a connection: the one behind it may be the primary.
const HOST_TIMEOUT: Duration = Duration::from_secs(2);
/// A peer that is gone is noticed within 10 s + 3 * 5 s, and within 10 s when something was sent.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(10);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
const KEEPALIVE_RETRIES: u32 = 3;
const SEND_TIMEOUT: Duration = Duration::from_secs(10);

/// What every session begins with. Lock waits end before the statement does: by that it is known that nothing
/// was written, while a statement that was stopped may have been.
const SESSION: &str = "-c search_path=trireme -c statement_timeout=5s -c lock_timeout=4s \
                       -c idle_in_transaction_session_timeout=5s";
/// Everything here is looked up by a key. The planner would see that only once it has statistics, and until then
/// read a whole table for one stream.
const PLANS: &str = "-c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off \
                     -c plan_cache_mode=force_generic_plan -c jit=off";
/// One process changes the schema at a time; the others wait for it, longer than any migration should take.
const MIGRATION_SESSION: &str = "set statement_timeout = '60s'; set lock_timeout = '60s'; \
                                 select pg_advisory_lock(hashtext('trireme migration'))";

pub async fn open(url: &str, access: Access) -> Result<Pool, StoreError> {
    let (config, tls) = configure(url, access)?;
    let target = target(&config);
    let pool = pool(config, tls)?;
    prepare(&pool, access).await.map_err(|error| name(error, &target))?;
    Ok(pool)
}

/// The error, with what it is about.
fn name(error: StoreError, target: &str) -> StoreError {
    match error {
        StoreError::Unknown(text) | StoreError::Unreachable(text) => {
            StoreError::Unreachable(format!("PostgreSQL at {target}: {text}"))
        }
        StoreError::NotReady(text) => StoreError::NotReady(format!("PostgreSQL at {target}: {text}")),
        StoreError::Unusable(text) => StoreError::Unusable(format!("PostgreSQL at {target}: {text}")),
        StoreError::Conflict => StoreError::Conflict,
    }
}

/// Whether the connection has to be encrypted; the server's certificate is checked then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tls {
    Demanded,
    Off,
}

fn configure(url: &str, access: Access) -> Result<(Config, Tls), StoreError> {
    // The URL is not shown, nor the parser's words about it: where it is wrong, a password may be anywhere.
    let mut config: Config = url.parse().map_err(|_| {
        unusable(
            "the URL for PostgreSQL can not be read",
            "`postgres://USER:PASSWORD@HOST:5432/DATABASE`, with special characters as %XX; `?sslmode=require` for TLS",
        )
    })?;
    if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
        return Err(unusable("the URL for PostgreSQL has no host", "`postgres://USER:PASSWORD@HOST:5432/DATABASE`"));
    }
    let tls = match config.get_ssl_mode() {
        SslMode::Disable | SslMode::Prefer => Tls::Off,
        _ => Tls::Demanded,
    };
    // The last word is the URL's own.
    let read_only = if access == Access::Read { "-c default_transaction_read_only=on" } else { "" };
    let own = config.get_options().unwrap_or_default();
    let options = format!("{SESSION} {PLANS} {read_only} {own}");
    let connect_timeout = if has_several(&config) { HOST_TIMEOUT } else { CONNECT_TIMEOUT };
    config
        .options(options)
        .connect_timeout(connect_timeout)
        .keepalives(true)
        .keepalives_idle(KEEPALIVE_IDLE)
        .keepalives_interval(KEEPALIVE_INTERVAL)
        .keepalives_retries(KEEPALIVE_RETRIES)
        .tcp_user_timeout(SEND_TIMEOUT);
    if access == Access::Write {
        // After a failover the server that was the primary may be a replica: each new session is asked.
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
    }
    if has_several(&config) {
        // In an order that changes: a host that takes connections and says nothing must not hide the others for ever.
        config.load_balance_hosts(LoadBalanceHosts::Random);
    }
    if config.get_application_name().is_none() {
        config.application_name("trireme");
    }
    Ok((config, tls))
}

fn has_several(config: &Config) -> bool {
    config.get_hosts().len().max(config.get_hostaddrs().len()) > 1
}

/// Hosts, ports and database, for errors.
fn target(config: &Config) -> String {
    let name = |host: &Host| match host {
        Host::Tcp(host) => host.clone(),
        #[cfg(unix)]
        Host::Unix(path) => path.display().to_string(),
    };
    let mut hosts: Vec<String> = config.get_hosts().iter().map(name).collect();
    if hosts.is_empty() {
        hosts = config.get_hostaddrs().iter().map(ToString::to_string).collect();
    }
    // One port is every host's.
    let ports = config.get_ports();
    let port = |at: usize| ports.get(at).or(ports.first()).copied().unwrap_or(5432);
    let hosts: Vec<String> = (0..).zip(&hosts).map(|(at, host)| format!("{host}:{}", port(at))).collect();
    format!("`{}/{}`", hosts.join(","), config.get_dbname().unwrap_or_default())
}

fn pool(config: Config, tls: Tls) -> Result<Pool, StoreError> {
    // A closed connection is seen without asking the server, which would be a round trip a call.
    let how = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    let hosts = u32::try_from(config.get_hosts().len().max(config.get_hostaddrs().len())).unwrap_or(u32::MAX);
    let create_timeout = CONNECT_TIMEOUT.max(HOST_TIMEOUT.saturating_mul(hosts));
    let manager = match tls {
        Tls::Off => Manager::from_config(config, NoTls, how),
        Tls::Demanded => encrypted(config, how)?,
    };
    Pool::builder(manager)
        .max_size(CONNECTIONS_MAX)
        .wait_timeout(Some(CONNECT_TIMEOUT))
        .create_timeout(Some(create_timeout))
        .recycle_timeout(Some(CONNECT_TIMEOUT))
        .runtime(Runtime::Tokio1)
        .build()
        .map_err(|error| StoreError::Unusable(error.to_string()))
}

#[cfg(feature = "tls")]
fn encrypted(config: Config, how: ManagerConfig) -> Result<Manager, StoreError> {
    Ok(Manager::from_config(config, super::tls::connector()?, how))
}

#[cfg(not(feature = "tls"))]
fn encrypted(_: Config, _: ManagerConfig) -> Result<Manager, StoreError> {
    Err(unusable("TLS is not built into this trireme", "cargo build --release --features tls"))
}

async fn prepare(pool: &Pool, access: Access) -> Result<(), StoreError> {
    let client = pool.get().await.map_err(no_connection)?;
    check_durability(&client).await?;
    match (schema(&client).await?, access) {
        (Schema::Current, _) => Ok(()),
        (Schema::Older, Access::Read) => Err(too_old()),
        (Schema::Older, Access::Write) => migrate(client).await,
    }
}

async fn check_durability(client: &Object) -> Result<(), StoreError> {
    let sql = "select current_setting('fsync'), current_setting('synchronous_commit')";
    let row = client.query_one(sql, &[]).await.map_err(read)?;
    durable(row.get(0), row.get(1))
}

/// What was committed must survive a power cut, because the broker keeps what came of it.
fn durable(fsync: &str, synchronous_commit: &str) -> Result<(), StoreError> {
    match (fsync, synchronous_commit) {
        ("off", _) => Err(unusable("it runs with fsync = off and may lose everything", "set fsync = on, reload it")),
        (_, "off") => Err(unusable(
            "it runs with synchronous_commit = off and may lose what was committed",
            "alter database ... set synchronous_commit = on",
        )),
        _ => Ok(()),
    }
}

async fn schema(client: &Object) -> Result<Schema, StoreError> {
    let exists = "select to_regclass('trireme.refinery_schema_history') is not null";
    let newest = "select coalesce(max(version), 0)::bigint from trireme.refinery_schema_history";
    let found: i64 = match client.query_one(exists, &[]).await.map_err(read)?.get(0) {
        true => client.query_one(newest, &[]).await.map_err(read)?.get(0),
        false => 0,
    };
    judge(found, POSTGRES)
}

/// On a connection that is closed afterwards, and its lock and settings with it.
async fn migrate(client: Object) -> Result<(), StoreError> {
    let mut client = Object::take(client);
    client.batch_execute(MIGRATION_SESSION).await.map_err(read)?;
    client.batch_execute("create schema if not exists trireme").await.map_err(|error| {
        let hint = "make it as an administrator: create schema trireme authorization <the user>";
        match read(error) {
            StoreError::Unusable(text) => unusable(text, hint),
            other => other,
        }
    })?;
    // Those who waited for the lock find nothing to do.
    let migrated = runner(POSTGRES)?.run_async(&mut *client).await;
    migrated.map(drop).map_err(|error| {
        let source = std::error::Error::source(&error).and_then(|source| source.downcast_ref());
        let text = source.map_or_else(|| error.to_string(), describe);
        StoreError::Unusable(format!("its schema can not be changed: {text}"))
    })
}

fn read(error: tokio_postgres::Error) -> StoreError {
    of_read(Failure::Answer(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_may_lose_commits_is_refused() {
        assert!(durable("on", "on").is_ok() && durable("on", "remote_apply").is_ok());
        for (fsync, synchronous_commit) in [("off", "on"), ("on", "off")] {
            let error = durable(fsync, synchronous_commit).expect_err("not durable").to_string();
            assert!(error.contains("= off") && error.contains("hint: "), "{error}");
        }
    }

    #[test]
    fn the_url_has_the_last_word_and_its_password_is_never_shown() {
        let url = "postgres://me:s3cret@db.example:6000/work?options=-c%20lock_timeout%3D1s";
        let (config, tls) = configure(url, Access::Read).expect("a URL");
        let options = config.get_options().expect("options");
        assert!(options.contains("default_transaction_read_only=on") && options.ends_with("-c lock_timeout=1s"));
        assert_eq!((target(&config).as_str(), tls), ("`db.example:6000/work`", Tls::Off));
        let several = "postgres://me:s3cret@one,two:6001,three/work";
        let (config, _) = configure(several, Access::Write).expect("a URL");
        assert_eq!(target(&config), "`one:5432,two:6001,three:5432/work`");
        assert_eq!(config.get_target_session_attrs(), TargetSessionAttrs::ReadWrite);
        for bad in ["postgres://me:s3cret@db:port/x", "postgres://me:s3cret@db/x?s3cret", "postgres://me:s3cret@/x"] {
            let error = configure(bad, Access::Write).expect_err(bad).to_string();
            assert!(!error.contains("s3cret") && error.contains("hint: "), "{error}");
        }
    }
}
