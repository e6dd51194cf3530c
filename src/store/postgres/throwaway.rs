//! A database of one's own on a server, for a benchmark: made, used, dropped.

use tokio_postgres::{Client, Config, NoTls};

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
    /// Makes the database `name` on the server of `url`. One that is there is dropped first.
    pub async fn create(url: &str, name: &str) -> Result<Self, StoreError> {
        let server: Config =
            url.parse().map_err(|_| StoreError::Unusable("the URL for PostgreSQL can not be read".into()))?;
        let made = Self { server, name: name.to_owned(), url: named(url, name) };
        made.remove().await?;
        made.execute(&format!("create database \"{name}\"")).await?;
        Ok(made)
    }

    pub async fn remove(&self) -> Result<(), StoreError> {
        // Whether it is there is asked first: a server says so where there is nothing to drop.
        let is_there = "select 1 from pg_database where datname = $1";
        let found = self.connect().await?.query_opt(is_there, &[&self.name]).await.map_err(unusable)?;
        match found {
            Some(_) => self.execute(&format!("drop database if exists \"{}\" with (force)", self.name)).await,
            None => Ok(()),
        }
    }

    /// The server's processes that work for those who are connected to it, and that write for all, by their ids on the
    /// server's machine.
    pub async fn processes(&self) -> Result<Vec<u32>, StoreError> {
        let of = "select pid from pg_stat_activity where datname = $1
                  or backend_type in ('walwriter', 'checkpointer', 'background writer')";
        let client = self.connect().await?;
        let rows = client.query(of, &[&self.name]).await.map_err(unusable)?;
        rows.iter().map(|row| row.try_get::<_, i32>(0).map_err(unusable).map(i32::unsigned_abs)).collect()
    }

    /// How many transactions have written events in it: each row knows its own.
    pub async fn commits(&self) -> Result<u64, StoreError> {
        let of = "select count(distinct xmin::text) from trireme.events";
        let row = self.connect_to(&self.name).await?.query_one(of, &[]).await.map_err(unusable)?;
        row.try_get::<_, i64>(0).map_err(unusable).map(i64::unsigned_abs)
    }

    async fn execute(&self, statement: &str) -> Result<(), StoreError> {
        self.connect().await?.batch_execute(statement).await.map_err(unusable)
    }

    async fn connect(&self) -> Result<Client, StoreError> {
        let server = self.server.get_dbname().unwrap_or("postgres");
        self.connect_to(server).await
    }

    /// The connection ends with the client.
    async fn connect_to(&self, database: &str) -> Result<Client, StoreError> {
        let config = self.server.clone().dbname(database).to_owned();
        let (client, connection) =
            config.connect(NoTls).await.map_err(|error| StoreError::Unreachable(describe(&error)))?;
        tokio::spawn(connection);
        Ok(client)
    }
}

/// The same server's URL for another database.
fn named(url: &str, name: &str) -> String {
    let (url, query) = match url.split_once('?') {
        Some((url, query)) => (url, format!("?{query}")),
        None => (url, String::new()),
    };
    // Behind the `//` of the scheme.
    let host = url.find("://").map_or(0, |at| at + 3);
    let end = url[host..].find('/').map_or(url.len(), |at| host + at);
    format!("{}/{name}{query}", &url[..end])
}

fn unusable(error: tokio_postgres::Error) -> StoreError {
    StoreError::Unusable(describe(&error))
}

#[cfg(test)]
mod tests {
    use super::named;

    #[test]
    fn only_the_name_of_the_database_changes() {
        for (url, renamed) in [
            ("postgres://u@h:5432/db", "postgres://u@h:5432/b"),
            ("postgres://u:p@h", "postgres://u:p@h/b"),
            ("postgres://u@h/db?sslmode=disable&host=/run", "postgres://u@h/b?sslmode=disable&host=/run"),
        ] {
            assert_eq!(named(url, "b"), renamed);
        }
    }
}
