//! Passwords in URLs, made unreadable wherever a URL is shown. Errs on the side of hiding too much.

const MASK: &str = "***";
/// Parameters that hold secrets.
const PARAMETERS: [&str; 2] = ["password=", "sslpassword="];

/// `url` with its password, and the parameters that hold one, replaced by `***`; each of several with commas between.
pub fn masked(url: &str) -> String {
    // A comma may also be a part of a password that nobody escaped.
    match url.split(',').all(|part| part.contains("://")) {
        true => url.split(',').map(masked_one).collect::<Vec<_>>().join(","),
        false => masked_one(url),
    }
}

fn masked_one(url: &str) -> String {
    let (before_query, query) = match url.split_once('?') {
        Some((before, query)) => (before, Some(query)),
        None => (url, None),
    };
    let mut masked = mask_user(before_query);
    if let Some(query) = query {
        let parameters: Vec<String> = query.split('&').map(mask_parameter).collect();
        masked.push('?');
        masked.push_str(&parameters.join("&"));
    }
    masked
}

fn mask_user(url: &str) -> String {
    let authority = url.find("://").map_or(0, |at| at + "://".len());
    // A password may have an `@` that nobody escaped: the last one is taken.
    let Some(end) = url[authority..].rfind('@').map(|at| authority + at) else { return url.into() };
    match url[authority..end].find(':') {
        Some(colon) => format!("{}:{MASK}{}", &url[..authority + colon], &url[end..]),
        None => url.into(),
    }
}

fn mask_parameter(parameter: &str) -> String {
    match PARAMETERS.iter().find(|name| parameter.to_ascii_lowercase().starts_with(*name)) {
        Some(name) => format!("{}{MASK}", &parameter[..name.len()]),
        None => parameter.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::masked;

    #[test]
    fn passwords_are_hidden_and_nothing_else() {
        for (url, expected) in [
            ("amqp://user:secret@host:5672/%2f?heartbeat=10", "amqp://user:***@host:5672/%2f?heartbeat=10"),
            ("postgres://user:se@cr:et@host/db", "postgres://user:***@host/db"),
            ("postgres://user@host/db?Password=x&a=b", "postgres://user@host/db?Password=***&a=b"),
            ("amqp://a:secret@b,amqp://a:secret@c/%2f", "amqp://a:***@b,amqp://a:***@c/%2f"),
            ("amqp://a:sec,ret@b,amqp://a:secret@c", "amqp://a:***@c"),
            ("sqlite:trireme.db", "sqlite:trireme.db"),
            ("user:secret@host", "user:***@host"),
            ("amqp://host:5672", "amqp://host:5672"),
        ] {
            assert_eq!(masked(url), expected);
        }
    }
}
