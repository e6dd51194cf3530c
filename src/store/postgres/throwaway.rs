//! A database of one's own on a server, for a benchmark: made, used, dropped.

use tokio_postgres::{Config, NoTls};

use super::error::describe;
use crate::runtime::port::StoreError;

/// A database that nobody else uses. Dropping the value leaves it; [`Throwaway::remove`] takes it away.
#[derive(Debug)]
pub struct Throwaway {
    server: Config,
    name: String,
    /// Where it is.
    pub url: String,
}

impl Throwaway {
    /// Makes the database `name` on the server of `url`, which has no query part. One that is there is dropped first.
    pub async fn create(url: &str, name: &str) -> Result<Self, StoreError> {
        let server: Config =
            url.parse().map_err(|_| StoreError::Unusable("the URL for PostgreSQL can not be read".into()))?;
        let at = url.rfind('/').unwrap_or(url.len());
        let made = Self { server, name: name.to_owned(), url: format!("{}/{name}", &url[..at]) };
        made.execute(&format!("drop database if exists \"{name}\" with (force)")).await?;
        made.execute(&format!("create database \"{name}\"")).await?;
        Ok(made)
    }

    pub async fn remove(&self) -> Result<(), StoreError> {
        self.execute(&format!("drop database if exists \"{}\" with (force)", self.name)).await
    }

    async fn execute(&self, statement: &str) -> Result<(), StoreError> {
        let (client, connection) =
            self.server.connect(NoTls).await.map_err(|error| StoreError::Unreachable(describe(&error)))?;
        let driver = tokio::spawn(connection);
        let done = client.batch_execute(statement).await;
        drop(client);
        let _ = driver.await;
        done.map_err(|error| StoreError::Unusable(describe(&error)))
    }
}
