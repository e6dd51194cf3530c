//! What lapin and the broker say, as what the caller is to do about it. Never shows a password.

use lapin::ErrorKind;
use lapin::protocol::AMQPError;
use lapin::uri::AMQPUri;

use crate::runtime::port::TransportError;

/// AMQP's reply codes, as far as they mean different things to do.
const ACCESS_REFUSED: u16 = 403;
const NOT_FOUND: u16 = 404;
const RESOURCE_LOCKED: u16 = 405;
const PRECONDITION_FAILED: u16 = 406;
const NOT_ALLOWED: u16 = 530;

/// Why there is no connection.
pub(super) fn of_connecting(error: &lapin::Error, uri: &AMQPUri) -> TransportError {
    let place = place(uri);
    let user = &uri.authority.userinfo.username;
    let vhost = &uri.vhost;
    match error.kind() {
        ErrorKind::ProtocolError(told) if told.get_id() == ACCESS_REFUSED => TransportError::Refused(format!(
            "user `{user}` may not log in at `{place}`\nhint: look at the user and the password in the broker's URL; `guest` may only \
             from the broker's own machine"
        )),
        ErrorKind::ProtocolError(told) if told.get_id() == NOT_ALLOWED => TransportError::Refused(format!(
            "user `{user}` may not use virtual host `{vhost}` at `{place}`: {}\nhint: look at the end of the broker's \
             URL (`/%2f` is the virtual host `/`), `rabbitmqctl list_vhosts` and `rabbitmqctl list_permissions`",
            reason(told)
        )),
        ErrorKind::AuthProviderError(told) => TransportError::Refused(format!("logging in at `{place}`: {told}")),
        ErrorKind::InvalidProtocolVersion(_) => {
            TransportError::Refused(format!("`{place}` does not speak AMQP 0-9-1\nhint: look at the port"))
        }
        _ => TransportError::Unreachable(format!("`{place}`: {error}\nhint: is RabbitMQ running there?")),
    }
}

/// Why something that was asked of a channel did not work.
pub(super) fn of_asking(what: &str, error: &lapin::Error) -> TransportError {
    let ErrorKind::ProtocolError(told) = error.kind() else { return of_channel(error) };
    match told.get_id() {
        ACCESS_REFUSED | NOT_ALLOWED => {
            TransportError::Refused(format!("{what}: {}\nhint: look at `rabbitmqctl list_permissions`", reason(told)))
        }
        NOT_FOUND => TransportError::Missing(format!(
            "{what}: {}\nhint: `trireme topology declare` makes what is missing",
            reason(told)
        )),
        PRECONDITION_FAILED => TransportError::Mismatch(format!("{what}: {}", reason(told))),
        RESOURCE_LOCKED => TransportError::Closed(format!(
            "{what}: {}\nhint: another agent of that name is alive, or the broker has not yet noticed that it is gone",
            reason(told)
        )),
        _ => of_channel(error),
    }
}

/// Whether the broker says that there is no such thing.
pub(super) fn is_not_found(error: &lapin::Error) -> bool {
    matches!(error.kind(), ErrorKind::ProtocolError(told) if told.get_id() == NOT_FOUND)
}

/// Why a channel is gone.
pub(super) fn of_channel(error: &lapin::Error) -> TransportError {
    match error.kind() {
        ErrorKind::ProtocolError(told) => TransportError::Closed(format!("{} {}", told.get_id(), reason(told))),
        _ => TransportError::Closed(error.to_string()),
    }
}

/// The host and the port.
pub(super) fn place(uri: &AMQPUri) -> String {
    format!("{}:{}", uri.authority.host, uri.authority.port)
}

/// What the broker said, without the name of the code in front of it.
fn reason(told: &AMQPError) -> String {
    let text = told.get_message().as_str();
    match text.split_once(" - ") {
        Some((code, reason)) if code.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_') => reason.into(),
        _ => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use lapin::protocol::{AMQPHardError, AMQPSoftError};

    use super::*;

    fn told(soft: AMQPSoftError, text: &str) -> lapin::Error {
        ErrorKind::ProtocolError(AMQPError::new(soft.into(), text.into())).into()
    }

    #[test]
    fn a_refusal_says_what_it_is_about_and_what_to_do() {
        let asking = |error| of_asking("queue `x.skill.a`", &error);
        let shape =
            told(AMQPSoftError::PRECONDITIONFAILED, "PRECONDITION_FAILED - inequivalent arg 'x-delivery-limit'");
        assert_eq!(
            asking(shape),
            TransportError::Mismatch("queue `x.skill.a`: inequivalent arg 'x-delivery-limit'".into())
        );
        let refused = asking(told(AMQPSoftError::ACCESSREFUSED, "ACCESS_REFUSED - access to queue refused"));
        assert!(matches!(&refused, TransportError::Refused(text) if text.contains("list_permissions")), "{refused:?}");
        let missing = asking(told(AMQPSoftError::NOTFOUND, "NOT_FOUND - no queue"));
        assert!(matches!(&missing, TransportError::Missing(text) if text.contains("topology declare")), "{missing:?}");
        // Somebody else has it: that passes, so it is worth another try.
        assert!(matches!(asking(told(AMQPSoftError::RESOURCELOCKED, "locked")), TransportError::Closed(_)));
        let forced = AMQPError::new(AMQPHardError::CONNECTIONFORCED.into(), "CONNECTION_FORCED - bye".into());
        assert_eq!(asking(ErrorKind::ProtocolError(forced).into()), TransportError::Closed("320 bye".into()));
        // What a consumer is told at its end is never about the topology.
        let late = told(AMQPSoftError::PRECONDITIONFAILED, "PRECONDITION_FAILED - delivery acknowledgement timed out");
        assert_eq!(of_channel(&late), TransportError::Closed("406 delivery acknowledgement timed out".into()));
    }
}
