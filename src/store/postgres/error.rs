//! What PostgreSQL's errors mean to the caller: above all, whether a batch may have been written.

use std::error::Error as _;
use std::io::{self, ErrorKind};

use deadpool_postgres::PoolError;
use tokio_postgres::Error;
use tokio_postgres::error::DbError;

use crate::runtime::port::StoreError;

/// Why a statement has no good answer.
#[derive(Debug)]
pub enum Failure {
    /// It was not sent: there was no connection, ...
    NoConnection(PoolError),
    /// ... or the connection did not get as far.
    Prepare(Error),
    Answer(Error),
    /// Nothing was heard in time.
    Silence,
}

impl Failure {
    /// The connection is closed, or will be in a moment, or is of no use: its session can not write (25006), which is
    /// so until it ends where the server is a replica now.
    pub fn is_cut(&self) -> bool {
        match self {
            Self::Prepare(error) | Self::Answer(error) => {
                error.code().is_none_or(|code| is_of_session(code.code()) || code.code().starts_with("08"))
            }
            Self::NoConnection(_) | Self::Silence => false,
        }
    }

    /// What it says holds for every session of that server: it stops, it starts, it is a replica, or takes no writes.
    pub fn is_of_server(&self) -> bool {
        match self {
            Self::Prepare(error) | Self::Answer(error) => error.code().is_some_and(|code| is_of_session(code.code())),
            Self::NoConnection(_) | Self::Silence => false,
        }
    }

    /// The connection is cut, or an answer may still come that nobody waits for.
    pub fn is_broken(&self) -> bool {
        self.is_cut() || matches!(self, Self::Silence)
    }
}

/// The SQLSTATEs with which a session is over or of no use: read-only; ended by an administrator, a crash, a start, the end
/// of its database or for being idle; no more sessions.
fn is_of_session(code: &str) -> bool {
    matches!(code, "25006" | "53300") || code.starts_with("57P")
}

/// The SQLSTATE of our own for a stream that is not as it was expected to be.
pub const STALE: &str = "TR001";

enum Meaning {
    /// Somebody else was faster. Nothing was written.
    Conflict,
    /// Nothing was written; it may work later.
    Later,
    /// Nothing was written, nor will be.
    Never,
    /// The connection broke, or the statement was stopped.
    Lost,
}

fn meaning(error: &Error) -> Meaning {
    let Some(code) = error.code() else { return Meaning::Lost };
    match code.code() {
        STALE | "40001" | "40P01" | "23505" => Meaning::Conflict,
        // Stopped by the statement's timeout, or by an operator: a commit that waits for a replica is done all the same.
        "57014" | "57P01" | "57P02" | "57P04" | "57P05" => Meaning::Lost,
        // A lock that somebody else kept; a server that starts, or that is a replica now.
        "55P03" | "57P03" | "25006" => Meaning::Later,
        // By class: the connection, and errors inside the server; resources, and the system below.
        other => match other.get(..2) {
            Some("08" | "XX") => Meaning::Lost,
            Some("53" | "58") => Meaning::Later,
            _ => Meaning::Never,
        },
    }
}

/// Of a statement that writes.
pub fn of_write(failure: Failure) -> StoreError {
    match failure {
        Failure::NoConnection(error) => no_connection(error),
        // What could be unknown here was not sent.
        Failure::Prepare(error) => of_read(Failure::Answer(error)),
        Failure::Silence => StoreError::Unknown("no answer in time".into()),
        Failure::Answer(error) => match meaning(&error) {
            Meaning::Conflict => StoreError::Conflict,
            Meaning::Later => StoreError::Unreachable(describe(&error)),
            Meaning::Never => StoreError::Unusable(describe(&error)),
            Meaning::Lost => StoreError::Unknown(describe(&error)),
        },
    }
}

/// Of a statement that writes nothing, so that there is nothing not to know.
pub fn of_read(failure: Failure) -> StoreError {
    match of_write(failure) {
        StoreError::Unknown(text) => StoreError::Unreachable(text),
        other => other,
    }
}

/// Of no connection.
pub fn no_connection(error: PoolError) -> StoreError {
    let error = match error {
        PoolError::Backend(error) => error,
        other => return StoreError::Unreachable(other.to_string().to_lowercase()),
    };
    let text = describe(&error) + &error.as_db_error().map(missing).unwrap_or_default();
    let wrong = match (error.code(), error.source()) {
        // A wrong user or password, a database that there is not, a right that is missing.
        (Some(code), _) => ["3D000", "42501"].contains(&code.code()) || code.code().starts_with("28"),
        // A certificate that is not good is invalid data; all else that the network says may pass.
        (None, Some(source)) => source.downcast_ref::<io::Error>().is_none_or(|io| io.kind() == ErrorKind::InvalidData),
        (None, None) => false,
    };
    match wrong {
        true => StoreError::Unusable(text),
        false => StoreError::Unreachable(text),
    }
}

/// What makes a database or a role that there is not, in a line of its own.
fn missing(answer: &DbError) -> String {
    let makes = match answer.code().code() {
        "3D000" => "createdb",
        "28000" => "createuser",
        _ => return String::new(),
    };
    // In the server's words, in any language, its name stands in quotes.
    match answer.message().split('"').nth(1) {
        Some(name) => format!("\nhint: `{makes} {}` makes it", name.escape_default()),
        None => String::new(),
    }
}

/// The server's own words, or the error's with its causes. Neither has a password in it.
pub fn describe(error: &Error) -> String {
    if let Some(answer) = error.as_db_error() {
        return format!("{} ({})", answer.message(), answer.code().code());
    }
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
