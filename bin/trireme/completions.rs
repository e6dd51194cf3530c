//! `trireme completions`: the script that completes a shell's command lines. It needs no settings.

use std::io;

use clap::{Command, ValueHint};
use clap_complete::Shell;

use crate::failure::{Failure, Status};

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  trireme completions bash > ~/.local/share/bash-completion/completions/trireme
  trireme completions fish > ~/.config/fish/completions/trireme.fish")]
pub struct Arguments {
    /// Whose script it is to be
    #[arg(value_hint = ValueHint::Other)]
    shell: Shell,
}

pub fn run(arguments: &Arguments, mut command: Command) -> Result<Status, Failure> {
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut command, name, &mut script);
    match io::Write::write_all(&mut io::stdout(), &script) {
        // Whoever reads it may have seen enough.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::bug(format!("the script can not be written: {error}")))
        }
        _ => Ok(Status::Done),
    }
}
