//! What goes wrong inside, before it is known what was being done.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Error, ErrorCode};

use crate::store::error::{AppendError, StoreError};

/// Why something could not be read or written.
#[derive(Debug)]
pub(super) enum Fault {
    Sql(Error),
    Damaged { what: String, detail: String },
    Store(StoreError),
}

impl Fault {
    /// A row that is not what was written.
    pub(super) fn damaged(what: impl Into<String>, detail: impl Into<String>) -> Self {
        Fault::Damaged { what: what.into(), detail: detail.into() }
    }

    pub(super) fn code(&self) -> Option<ErrorCode> {
        match self {
            Fault::Sql(error) => error.sqlite_error_code(),
            _ => None,
        }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Fault::Sql(error)
    }
}

/// Why an append came to nothing.
pub(super) enum Stop {
    Fault(Fault),
    Append(AppendError),
}

impl<F: Into<Fault>> From<F> for Stop {
    fn from(fault: F) -> Self {
        Stop::Fault(fault.into())
    }
}

/// Which file it is, for errors.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) path: PathBuf,
    pub(super) wait: Duration,
}

impl Place {
    /// What a fault is to the caller.
    pub(super) fn error(&self, doing: &str, fault: impl Into<Fault>) -> StoreError {
        let error = match fault.into() {
            Fault::Sql(error) => error,
            Fault::Damaged { what, detail } => return StoreError::Damaged { what, detail },
            Fault::Store(error) => return error,
        };
        let path = self.path.clone();
        let detail = error.to_string();
        let file = || self.path.display().to_string();
        let doing = || format!("{doing} {}", self.path.display());
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::Busy { path, waited: self.wait },
            Some(ErrorCode::ReadOnly) => StoreError::ReadOnly { path },
            Some(ErrorCode::DiskFull) => StoreError::Full { path },
            Some(ErrorCode::NotADatabase) => {
                StoreError::NotAStore { path, found: format!("bytes that SQLite cannot read ({detail})") }
            }
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch) => {
                StoreError::Damaged { what: file(), detail }
            }
            Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
                StoreError::Io { doing: doing(), source: Arc::new(error) }
            }
            _ => match error {
                Error::FromSqlConversionFailure(..)
                | Error::IntegralValueOutOfRange(..)
                | Error::InvalidColumnType(..)
                | Error::Utf8Error(..)
                | Error::QueryReturnedNoRows => StoreError::Damaged { what: file(), detail },
                error => StoreError::Backend { doing: doing(), source: Arc::new(error) },
            },
        }
    }

    /// An error of the operating system.
    pub(super) fn io(&self, doing: &str, error: std::io::Error) -> StoreError {
        let path = self.path.clone();
        match error.kind() {
            std::io::ErrorKind::StorageFull => StoreError::Full { path },
            _ => StoreError::Io { doing: format!("{doing} {}", path.display()), source: Arc::new(error) },
        }
    }
}
