//! How a command fails: one line, perhaps a hint, and an exit status.

use std::process::ExitCode;

use trireme::domain::BadInput;
use trireme::domain::bad_input::one_line;
use trireme::runtime::Fatal;
use trireme::runtime::client::ClientError;
use trireme::runtime::dead::NotFound;
use trireme::runtime::port::{StoreError, TransportError};

/// The exit statuses of all commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Done, or answered.
    Done = 0,
    /// The answer is no: the project ended in ERROR or CANCELLED, nobody answered, something is not well.
    Negative = 1,
    /// Bad usage, input or settings; an unknown id.
    Usage = 2,
    /// The broker or the store is not reachable.
    Unreachable = 3,
    /// A bug of ours.
    Bug = 4,
    /// Ctrl-C in a client: the project goes on.
    Interrupted = 130,
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        Self::from(status as u8)
    }
}

/// Why a command gives up.
#[derive(Debug)]
pub struct Failure {
    pub status: Status,
    pub message: String,
    pub hint: Option<String>,
}

impl Failure {
    pub fn usage(message: impl Into<String>) -> Self {
        Self { status: Status::Usage, message: message.into(), hint: None }
    }

    pub fn unreachable(message: impl Into<String>) -> Self {
        Self { status: Status::Unreachable, message: message.into(), hint: None }
    }

    pub fn bug(message: impl Into<String>) -> Self {
        Self { status: Status::Bug, message: message.into(), hint: None }
    }

    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// An error whose text may end in a line `hint: ...`.
    fn from_text(status: Status, text: &str) -> Self {
        match text.split_once("\nhint: ") {
            Some((message, hint)) => Self { status, message: message.into(), hint: Some(hint.into()) },
            None => Self { status, message: text.into(), hint: None },
        }
    }
}

impl From<BadInput> for Failure {
    fn from(bad: BadInput) -> Self {
        Self { status: Status::Usage, message: bad.message, hint: bad.hint }
    }
}

impl From<TransportError> for Failure {
    fn from(error: TransportError) -> Self {
        let failure = Self::from_text(Status::Unreachable, &error.to_string());
        match (&error, failure.hint.is_some()) {
            (TransportError::Unreachable(_), false) => failure.hint("is RabbitMQ running, and is `broker.url` right?"),
            (TransportError::Mismatch(_), false) => {
                failure.hint("`trireme topology delete` removes the old shape, or choose another `broker.namespace`")
            }
            _ => failure,
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let failure = Self::from_text(Status::Unreachable, &error.to_string());
        match (&error, failure.hint.is_some()) {
            (StoreError::Unreachable(_), false) => failure.hint("does the store run, and is `store.url` right?"),
            _ => failure,
        }
    }
}

impl From<Fatal> for Failure {
    fn from(fatal: Fatal) -> Self {
        match fatal {
            Fatal::Transport(error) => error.into(),
            Fatal::Store(error) => error.into(),
            Fatal::WrongStore(why) => {
                Self::unreachable(why).hint("all agents of a namespace need the same `store.url`")
            }
        }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Transport(error) => error.into(),
            ClientError::Unsendable(_) => Self::usage(error.to_string()),
            ClientError::Full => Self::unreachable(error.to_string()).hint("are there managers? see `trireme agents`"),
            ClientError::NoQueue => {
                Self::unreachable(error.to_string()).hint("start a worker, or run `trireme topology declare`")
            }
            ClientError::Unknown => Self::unreachable(error.to_string()),
        }
    }
}

impl From<NotFound> for Failure {
    fn from(error: NotFound) -> Self {
        let failure = Self::usage(one_line(&error.to_string()));
        match error {
            NotFound::Transport(error) => error.into(),
            NotFound::TooShort(_) => failure.hint("`trireme dead list` shows the ids"),
            NotFound::Unknown(_) => failure.hint("`trireme dead list` shows those that are there"),
            NotFound::Ambiguous { first, second, .. } => {
                failure.hint(format!("`{first}` and `{second}` are among them: give more of it"))
            }
        }
    }
}

/// A panic in one line: what it said, and where.
pub fn of_panic(panic: &std::panic::PanicHookInfo<'_>) -> String {
    let said = panic.payload_as_str().unwrap_or("no words");
    let place = panic.location().map(|place| format!(" ({}:{})", place.file(), place.line())).unwrap_or_default();
    format!("panicked: {}{place}", said.replace('\n', " "))
}
