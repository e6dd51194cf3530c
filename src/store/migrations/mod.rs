//! The schemas of the databases, and their changes in the order in which they came. A migration that was
//! released is never edited: stores remember what it was.

use refinery::{Migration, Runner};

use super::unusable;
use crate::runtime::port::StoreError;

/// Name and SQL of each migration, numbered from 1 without a gap.
pub type Migrations = &'static [(&'static str, &'static str)];

pub const SQLITE: Migrations = &[("V1__streams", include_str!("sqlite/V1__streams.sql"))];

#[cfg(feature = "postgres")]
pub const POSTGRES: Migrations = &[
    ("V1__streams", include_str!("postgres/V1__streams.sql")),
    ("V2__compression", include_str!("postgres/V2__compression.sql")),
];

/// How a store's schema stands to the program's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schema {
    Current,
    Older,
}

/// Judges the number of the newest migration that a store has had; 0 is none.
pub fn judge(found: i64, migrations: Migrations) -> Result<Schema, StoreError> {
    match found.cmp(&(migrations.len() as i64)) {
        std::cmp::Ordering::Equal => Ok(Schema::Current),
        std::cmp::Ordering::Less => Ok(Schema::Older),
        std::cmp::Ordering::Greater => Err(unusable(
            format!("it was made by a newer trireme (schema {found}, this one knows {})", migrations.len()),
            "use that one, or another store",
        )),
    }
}

/// What a reader says of a store that only a writer could bring up to date.
pub fn too_old() -> StoreError {
    StoreError::NotReady(
        "it is empty, or was made by an older trireme\nhint: start a worker, which brings it up to date".into(),
    )
}

/// Applies what is missing, all in one transaction.
pub fn runner(migrations: Migrations) -> Result<Runner, StoreError> {
    let list: Result<Vec<_>, _> = migrations.iter().map(|(name, sql)| Migration::unapplied(name, sql)).collect();
    let list = list.map_err(|error| StoreError::Unusable(format!("migrations: {error}")))?;
    Ok(Runner::new(&list).set_grouped(true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn migrations_are_numbered_without_a_gap() {
        #[cfg(feature = "postgres")]
        let all = [SQLITE, POSTGRES];
        #[cfg(not(feature = "postgres"))]
        let all = [SQLITE];
        for migrations in all {
            let runner = runner(migrations).expect("names");
            let numbers: Vec<i64> = runner.get_migrations().iter().map(|m| i64::from(m.version())).collect();
            assert_eq!(numbers, (1..=migrations.len() as i64).collect::<Vec<_>>());
        }
    }
}
