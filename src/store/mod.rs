//! The adapters of the store port: SQLite, PostgreSQL, and one in memory for the simulator.
//!
//! Here a store's URL becomes an adapter. What all of them do alike stands in [`batch`] (what is written) and
//! [`rows`] (what is read); nothing outside this folder knows SQL or a database's name. No error ever shows a
//! password.

use std::sync::Arc;

use uuid::Uuid;

use crate::runtime::port::{Store, StoreError};

mod batch;
pub mod memory;
mod migrations;
#[cfg(feature = "postgres")]
pub mod postgres;
mod rows;
pub mod sqlite;

#[cfg(feature = "postgres")]
pub use postgres::Throwaway;

/// The URL of what each process remembers for itself.
pub const MEMORY: &str = "memory:";

/// What a store is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// It is made where there is none, and brought up to date where it is older than the program.
    Write,
    /// It is left exactly as it is: not made, not migrated, and `append` is refused.
    Read,
}

/// The store at `url` (`sqlite:PATH`, `postgres://...`), made or brought up to date where that is needed. `memory:` is
/// this process's own, and gone with it: it is there to measure what the others cost.
pub async fn open(url: &str) -> Result<Arc<dyn Store>, StoreError> {
    open_for(url, Access::Write).await
}

/// The store at `url`, for those who only look: nothing in it is changed.
pub async fn open_to_read(url: &str) -> Result<Arc<dyn Store>, StoreError> {
    open_for(url, Access::Read).await
}

async fn open_for(url: &str, access: Access) -> Result<Arc<dyn Store>, StoreError> {
    match url.split_once(':') {
        Some(("sqlite", path)) => {
            let options = sqlite::SqliteOptions { access, ..Default::default() };
            Ok(Arc::new(sqlite::SqliteStore::open(path, options).await?))
        }
        Some(("postgres" | "postgresql", _)) => open_postgres(url, access).await,
        _ if url == MEMORY => match access {
            // All have one id: the workers of a benchmark are to take each other for a team.
            Access::Write => Ok(Arc::new(memory::MemoryStore::new(Uuid::nil()))),
            Access::Read => Err(unusable("what a process keeps in memory nobody else can read", FORMS)),
        },
        // Only the part before the first colon is shown: behind it there may be a password.
        Some((scheme, _)) => Err(unusable(format!("no store has the scheme `{}`", scheme.escape_default()), FORMS)),
        None => Err(unusable(format!("`{}` is no store URL", url.escape_default()), FORMS)),
    }
}

const FORMS: &str = "`sqlite:PATH` or `postgres://USER:PASSWORD@HOST:5432/DATABASE`";

#[cfg(feature = "postgres")]
async fn open_postgres(url: &str, access: Access) -> Result<Arc<dyn Store>, StoreError> {
    Ok(Arc::new(postgres::PostgresStore::open(url, access).await?))
}

#[cfg(not(feature = "postgres"))]
async fn open_postgres(_: &str, _: Access) -> Result<Arc<dyn Store>, StoreError> {
    Err(not_built_in())
}

#[cfg(not(feature = "postgres"))]
fn not_built_in() -> StoreError {
    unusable("PostgreSQL is not built into this trireme", "cargo build --release --features postgres")
}

/// A database of one's own on the PostgreSQL server of `url`, for a benchmark.
#[cfg(feature = "postgres")]
pub async fn throwaway(url: &str, name: &str) -> Result<Throwaway, StoreError> {
    Throwaway::create(url, name).await
}

#[cfg(not(feature = "postgres"))]
pub async fn throwaway(_: &str, _: &str) -> Result<Throwaway, StoreError> {
    Err(not_built_in())
}

/// What is not built in is not made.
#[cfg(not(feature = "postgres"))]
pub struct Throwaway {
    pub url: String,
}

#[cfg(not(feature = "postgres"))]
impl Throwaway {
    pub async fn remove(&self) -> Result<(), StoreError> {
        Err(not_built_in())
    }

    pub async fn processes(&self) -> Result<Vec<u32>, StoreError> {
        Err(not_built_in())
    }

    pub async fn commits(&self) -> Result<u64, StoreError> {
        Err(not_built_in())
    }
}

/// It will not work later either, and this is the way out.
fn unusable(what: impl std::fmt::Display, hint: impl std::fmt::Display) -> StoreError {
    StoreError::Unusable(format!("{what}\nhint: {hint}"))
}

/// What a store says that was opened for reading.
fn only_read() -> StoreError {
    StoreError::Unusable("it was opened for reading only".into())
}
