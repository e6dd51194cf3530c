//! What SQLite's errors mean to the caller.

use rusqlite::{Error, ErrorCode};

use crate::runtime::port::StoreError;

/// Of a call that wrote nothing, or that was rolled back.
pub fn unwritten(error: Error) -> StoreError {
    meaning(&error)
}

const LOCKED: &str = "another process has it locked";

/// Whether another process has it for a moment.
pub fn is_lock(error: &StoreError) -> bool {
    matches!(error, StoreError::Unreachable(why) if why == LOCKED)
}

pub fn meaning(error: &Error) -> StoreError {
    let text = error.to_string();
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::FileLockingProtocolFailed) => {
            StoreError::Unreachable(LOCKED.into())
        }
        Some(ErrorCode::DiskFull | ErrorCode::SystemIoFailure | ErrorCode::OutOfMemory | ErrorCode::CannotOpen) => {
            StoreError::Unreachable(text)
        }
        _ => StoreError::Unusable(text),
    }
}

/// Of a commit: the disk may have taken it all the same.
pub fn at_commit(error: Error) -> StoreError {
    match unwritten(error) {
        StoreError::Unreachable(text) => StoreError::Unknown(text),
        other => other,
    }
}
