//! What lapin and the broker say, as what the caller is to do about it. Never shows a password.

use lapin::ErrorKind;
use lapin::protocol::AMQPError;
use lapin::uri::AMQPUri;

use crate::runtime::port::TransportError;

/// AMQP's reply codes, as far as they mean different things to do. One code has several causes, which only the broker's
/// text tells apart (the texts of RabbitMQ 3.10.8 and 4.0.5 are in the tests below):
///
/// | code | text | cause | hint |
/// | --- | --- | --- | --- |
/// | 403 at login | Login was refused | user, password, `guest` from another host | user and password |
/// | 403 | access to ... refused for user | a right of the login | the right that is missing, and how to give it |
/// | 404 | no queue, no exchange | not declared, or deleted | `trireme topology declare` |
/// | 405 | exclusive access | another connection has that queue | who that may be |
/// | 406 | inequivalent arg | declared with other settings | another namespace, or `trireme topology delete` |
/// | 406 | queue limit is reached | a limit of the virtual host | the limits |
/// | 406 | user_id, unknown delivery tag, timed out | about a message, or a delivery | none |
/// | 530 | vhost not found | | `rabbitmqctl list_vhosts` |
/// | 530 | access to vhost refused | no rights at all there | `rabbitmqctl set_permissions` |
/// | 530 | connection limit, channel limit | a limit of the virtual host or of the user | the limits |
const ACCESS_REFUSED: u16 = 403;
const NOT_FOUND: u16 = 404;
const RESOURCE_LOCKED: u16 = 405;
const PRECONDITION_FAILED: u16 = 406;
const NOT_ALLOWED: u16 = 530;

/// The permission that something needs of the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Right {
    /// To make or delete it.
    Configure,
    /// To consume from a queue.
    Read,
    /// To write to a queue and to read an exchange.
    Bind,
}

impl Right {
    fn describe(self) -> &'static str {
        match self {
            Self::Configure => "`configure` for that name",
            Self::Read => "`read` for that name",
            Self::Bind => "`write` for the queue and `read` for the exchange",
        }
    }
}

const LIMITS: &str = "`rabbitmqctl list_vhost_limits` and `rabbitmqctl list_user_limits` show the limits; `set_vhost_limits` \
                      or `set_user_limits` changes them";

/// Whether it is a limit of the virtual host or of the user that was reached.
fn is_limit(text: &str) -> bool {
    text.contains(" limit")
        && (text.contains("is reached") || text.contains("has reached") || text.contains("exceeded"))
}

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
        ErrorKind::ProtocolError(told) if told.get_id() == NOT_ALLOWED => {
            let text = reason(told);
            let hint = match () {
                () if is_limit(&text) => LIMITS.to_owned(),
                () if text.contains("not found") => {
                    "`rabbitmqctl list_vhosts` shows those there are; it is the end of the \
                                                     broker's URL (`/%2f` is the virtual host `/`)"
                        .to_owned()
                }
                () if text.contains("refused for user") => {
                    format!(
                        "`rabbitmqctl set_permissions -p {vhost} {user} CONFIGURE WRITE READ` gives it rights there"
                    )
                }
                () => "look at the end of the broker's URL, and at the broker's log".to_owned(),
            };
            TransportError::Refused(format!(
                "user `{user}` may not use virtual host `{vhost}` at `{place}`: {text}\nhint: {hint}"
            ))
        }
        ErrorKind::AuthProviderError(told) => TransportError::Refused(format!("logging in at `{place}`: {told}")),
        ErrorKind::InvalidProtocolVersion(_) => {
            TransportError::Refused(format!("`{place}` does not speak AMQP 0-9-1\nhint: look at the port"))
        }
        _ => TransportError::Unreachable(format!("`{place}`: {error}\nhint: is RabbitMQ running there?")),
    }
}

/// Why something that was asked of a channel, and needs a `right`, did not work.
pub(super) fn of_asking(right: Right, what: &str, error: &lapin::Error) -> TransportError {
    let ErrorKind::ProtocolError(told) = error.kind() else { return of_channel(error) };
    let text = reason(told);
    match told.get_id() {
        ACCESS_REFUSED | NOT_ALLOWED | PRECONDITION_FAILED if is_limit(&text) => {
            TransportError::Refused(format!("{what}: {text}\nhint: {LIMITS}"))
        }
        ACCESS_REFUSED => TransportError::Refused(format!(
            "{what}: {text}\nhint: the login needs {}; `rabbitmqctl list_user_permissions USER` shows what it has{}",
            right.describe(),
            if right == Right::Configure {
                ", and with `broker.declare = \"check\"` it need not make anything"
            } else {
                ""
            }
        )),
        NOT_ALLOWED => TransportError::Refused(format!("{what}: {text}")),
        NOT_FOUND => {
            TransportError::Missing(format!("{what}: {text}\nhint: `trireme topology declare` makes what is missing"))
        }
        // Only what differs is mended by deleting it.
        PRECONDITION_FAILED if text.contains("inequivalent arg") => TransportError::Mismatch(format!("{what}: {text}")),
        RESOURCE_LOCKED => TransportError::Closed(format!(
            "{what}: {text}\nhint: another agent of that name is alive, or the broker has not yet noticed that it is gone"
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

    /// Following a hint that deletes is never the way out of a limit: the words are those of RabbitMQ 3.10.8 and 4.0.5.
    #[test]
    fn a_limit_is_told_from_arguments_that_differ() {
        let limit =
            "PRECONDITION_FAILED - cannot declare queue 'x.skill.a': queue limit in vhost 'lim' (15) is reached";
        let error = of_asking(Right::Configure, "queue `x.skill.a`", &told(AMQPSoftError::PRECONDITIONFAILED, limit));
        let TransportError::Refused(text) = &error else { panic!("{error:?}") };
        assert!(text.contains("list_vhost_limits") && !text.contains("topology delete"), "{text}");

        let uri: AMQPUri = "amqp://few:s3cret@broker:5672/lim".parse().expect("a URL");
        let connecting = |text: &str| {
            let told = AMQPError::new(AMQPHardError::NOTALLOWED.into(), format!("NOT_ALLOWED - {text}").into());
            of_connecting(&ErrorKind::ProtocolError(told).into(), &uri).to_string()
        };
        for (text, hint) in [
            ("access to vhost 'lim' refused for user 'few': connection limit (0) is reached", "list_vhost_limits"),
            (
                "access to vhost 'lim' refused for user 'few': vhost connection limit (0) is reached",
                "list_vhost_limits",
            ),
            ("connection refused for user 'few': user connection limit (0) is reached", "list_user_limits"),
            ("vhost lim not found", "rabbitmqctl list_vhosts"),
            ("access to vhost 'lim' refused for user 'few'", "rabbitmqctl set_permissions -p lim few"),
        ] {
            let error = connecting(text);
            assert!(error.contains(text) && error.contains(hint) && !error.contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn a_refusal_says_what_it_is_about_and_what_to_do() {
        let asking = |error| of_asking(Right::Configure, "queue `x.skill.a`", &error);
        let shape =
            told(AMQPSoftError::PRECONDITIONFAILED, "PRECONDITION_FAILED - inequivalent arg 'x-delivery-limit'");
        assert_eq!(
            asking(shape),
            TransportError::Mismatch("queue `x.skill.a`: inequivalent arg 'x-delivery-limit'".into())
        );
        let refused = asking(told(AMQPSoftError::ACCESSREFUSED, "ACCESS_REFUSED - access to queue refused"));
        assert!(matches!(&refused, TransportError::Refused(text) if text.contains("`configure`")), "{refused:?}");
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
