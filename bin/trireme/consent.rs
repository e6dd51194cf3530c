//! A question before something that can not be undone.

use std::io::{self, IsTerminal, Write};

use crate::failure::Failure;

/// Whether there is anybody to ask; `what` would be done, as in "drops a dead letter".
pub fn check_terminal(what: &str) -> Result<(), Failure> {
    match io::stdin().is_terminal() && io::stderr().is_terminal() {
        true => Ok(()),
        false => Err(Failure::usage(format!("this {what}, and there is no terminal to ask on")).hint("give --yes")),
    }
}

/// Asks on the terminal. Anything but a yes is a no.
pub async fn ask(question: String) -> Result<bool, Failure> {
    let answer = tokio::task::spawn_blocking(move || {
        let mut answer = String::new();
        write!(io::stderr(), "{question} [y/N] ").and_then(|()| io::stdin().read_line(&mut answer)).map(|_| answer)
    });
    match answer.await {
        Ok(Ok(answer)) => Ok(["y", "yes"].contains(&answer.trim().to_lowercase().as_str())),
        Ok(Err(error)) => Err(Failure::usage(format!("the terminal does not answer: {error}")).hint("give --yes")),
        Err(error) => Err(Failure::bug(error.to_string())),
    }
}
