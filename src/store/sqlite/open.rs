//! Opening the file: is it one, is it ours, is its schema known. A reader never changes it.

use std::error::Error as _;
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::error::{is_lock, meaning};
use super::{SqliteOptions, Synchronous};
use crate::runtime::port::StoreError;
use crate::store::migrations::{SQLITE, Schema, judge, runner, too_old};
use crate::store::unusable;

/// Marks the file as ours, so that no other program's database is ever written to: `TRIR` in ASCII.
const APPLICATION_ID: i32 = 0x5452_4952;
/// All statements of this adapter, and some room.
const STATEMENTS_MAX: usize = 32;
/// Between two attempts to open a file that other processes are changing.
const BUSY_PAUSE: Duration = Duration::from_millis(10);

/// A connection that writes, to a file that is made or brought up to date where that is needed.
pub fn writer(path: &Path, options: SqliteOptions) -> Result<Connection, StoreError> {
    check_path(path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    patiently(options, || {
        let mut connection = connect(path, flags, options)?;
        prepare(&mut connection, path, options)?;
        Ok(connection)
    })
}

/// A connection that only reads, to a file that is there and up to date.
pub fn reader(path: &Path, options: SqliteOptions) -> Result<Connection, StoreError> {
    check_path(path)?;
    if !path.exists() {
        let what = format!("there is no `{}`\nhint: a worker or `trireme run --store` makes it", path.display());
        return Err(StoreError::NotReady(what));
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    patiently(options, || {
        let connection = connect(path, flags, options)?;
        match schema(&connection, path)? {
            Schema::Current => Ok(connection),
            Schema::Older => Err(too_old()),
        }
    })
}

/// SQLite waits for another process's write by itself, but not in every state: not while one changes the journal mode,
/// or mends a file that another left behind. What else is wrong, a full disk say, is not over in a moment.
fn patiently<T>(options: SqliteOptions, mut open: impl FnMut() -> Result<T, StoreError>) -> Result<T, StoreError> {
    let until = Instant::now() + options.busy_timeout;
    loop {
        match open() {
            Err(error) if is_lock(&error) && Instant::now() < until => std::thread::sleep(BUSY_PAUSE),
            opened => return opened,
        }
    }
}

fn check_path(path: &Path) -> Result<(), StoreError> {
    let shown = path.display();
    let text = path.to_string_lossy();
    if text.is_empty() || text == ":memory:" || text.starts_with("//") {
        return Err(unusable(format!("`sqlite:{shown}` names no file"), "`sqlite:PATH`, as in `sqlite:trireme.db`"));
    }
    if path.is_dir() {
        return Err(unusable(
            format!("`{shown}` is a directory"),
            format!("sqlite:{}", path.join("trireme.db").display()),
        ));
    }
    // The parent of a bare file name is empty: the current directory, which is there.
    match path.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.is_dir()) {
        Some(folder) => {
            let folder = folder.display();
            Err(unusable(format!("there is no directory `{folder}`"), format!("mkdir -p {folder}")))
        }
        None => Ok(()),
    }
}

fn connect(path: &Path, flags: OpenFlags, options: SqliteOptions) -> Result<Connection, StoreError> {
    let connect = || {
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(options.busy_timeout)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
        Ok(connection)
    };
    connect().map_err(|error: rusqlite::Error| refused(&error, path))
}

/// Like [`meaning`], in words about the file.
fn refused(error: &rusqlite::Error, path: &Path) -> StoreError {
    use rusqlite::ErrorCode::{CannotOpen, NotADatabase, PermissionDenied, ReadOnly};
    let shown = path.display();
    match error.sqlite_error_code() {
        Some(NotADatabase) => {
            unusable(format!("`{shown}` is no SQLite database"), "name another file; this one is left alone")
        }
        Some(CannotOpen | PermissionDenied | ReadOnly) => {
            unusable(format!("`{shown}` can not be opened"), "may this user read and write it, and its directory?")
        }
        _ => meaning(error),
    }
}

fn prepare(connection: &mut Connection, path: &Path, options: SqliteOptions) -> Result<(), StoreError> {
    let refused = |error: rusqlite::Error| refused(&error, path);
    let found = schema(connection, path)?;
    let mode: String =
        connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0)).map_err(refused)?;
    if mode != "wal" {
        return Err(unusable(
            format!("`{}` has no write-ahead log (its journal mode is `{mode}`)", path.display()),
            "put it on a disk of this machine",
        ));
    }
    let synchronous = match options.synchronous {
        Synchronous::Full => "full",
        Synchronous::Normal => "normal",
    };
    connection.pragma_update(None, "synchronous", synchronous).map_err(refused)?;
    match found {
        Schema::Current => Ok(()),
        Schema::Older => migrate(connection, path),
    }
}

fn migrate(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    connection.pragma_update(None, "application_id", APPLICATION_ID).map_err(|error| refused(&error, path))?;
    connection.set_transaction_behavior(TransactionBehavior::Immediate);
    let migrated = runner(SQLITE)?.run(connection);
    match (schema(connection, path)?, migrated) {
        // Also when it failed: then another process has done the same a moment before.
        (Schema::Current, _) => Ok(()),
        (Schema::Older, Ok(_)) => Err(StoreError::Unusable("its schema did not become this program's".into())),
        (Schema::Older, Err(error)) => match error.source().and_then(|source| source.downcast_ref()) {
            Some(source) => Err(refused(source, path)),
            None => Err(StoreError::Unusable(format!("its schema can not be changed: {error}"))),
        },
    }
}

fn schema(connection: &Connection, path: &Path) -> Result<Schema, StoreError> {
    let refused = |error: rusqlite::Error| refused(&error, path);
    let count = "select count(*), count(*) filter (where name = 'refinery_schema_history') from sqlite_schema";
    let (all, history): (i64, i64) =
        connection.query_row(count, [], |row| Ok((row.get(0)?, row.get(1)?))).map_err(refused)?;
    // Asked after the tables: who makes them marks the file first.
    let mark: i32 = connection.pragma_query_value(None, "application_id", |row| row.get(0)).map_err(refused)?;
    if all > 0 && mark != APPLICATION_ID {
        return Err(unusable(
            format!("`{}` is the database of another program", path.display()),
            "name another file; this one is left alone",
        ));
    }
    let newest = "select coalesce(max(version), 0) from refinery_schema_history";
    let found: i64 = match history {
        0 => 0,
        _ => connection.query_row(newest, [], |row| row.get(0)).map_err(refused)?,
    };
    judge(found, SQLITE)
}

#[cfg(test)]
mod tests {
    use rusqlite::{Error, ffi};

    use super::*;

    /// How often opening is tried that goes wrong in this way, and what comes of it at last.
    fn tries(code: std::ffi::c_int) -> (u32, StoreError) {
        let (mut tries, options) = (0, SqliteOptions { busy_timeout: 3 * BUSY_PAUSE, ..SqliteOptions::default() });
        let opened = patiently::<()>(options, || {
            tries += 1;
            Err(refused(&Error::SqliteFailure(ffi::Error::new(code), None), Path::new("file.db")))
        });
        (tries, opened.expect_err("it goes wrong every time"))
    }

    #[test]
    fn only_a_lock_is_waited_for() {
        for code in [ffi::SQLITE_BUSY, ffi::SQLITE_LOCKED, ffi::SQLITE_BUSY_RECOVERY] {
            let (tries, error) = tries(code);
            assert!(tries > 1 && matches!(error, StoreError::Unreachable(_)), "{code}: {tries} tries, {error}");
        }
        for code in [ffi::SQLITE_FULL, ffi::SQLITE_IOERR, ffi::SQLITE_NOMEM, ffi::SQLITE_CANTOPEN, ffi::SQLITE_CORRUPT]
        {
            let (tries, error) = tries(code);
            assert_eq!(tries, 1, "{code}: {error}");
        }
    }
}
