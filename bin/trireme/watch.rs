//! `trireme watch`: follows a project to its end.

use std::io::IsTerminal;

use trireme::config::Settings;
use trireme::runtime::reader;

use crate::asking::Asker;
use crate::failure::{Failure, Status};
use crate::output::Output;
use crate::progress::{self, Show};
use crate::{reading, show};

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  trireme watch 0197a3c1
  trireme watch 0197a3c1 --json | jq -c .counts

Exit status: 0 when the project completed, 1 when it ended in ERROR or CANCELLED. Ctrl-C leaves the project alone \
and exits with 130. It reads the store and needs no broker; where one answers, it also says what is waited for.")]
pub struct Arguments {
    #[command(flatten)]
    project: reading::Named,
}

pub async fn run(arguments: Arguments, settings: &Settings, output: &Output) -> Result<Status, Failure> {
    let store = reading::open(settings).await?;
    let id = arguments.project.find(&*store).await?;
    if reader::summaries(&*store, id).await?.is_empty() {
        return Err(reading::unknown(&id.to_string()));
    }
    let how = if output.is_json() { Show::Objects } else { Show::Data };
    let view = progress::unless_interrupted(id, async {
        let mut asker = Asker::connect_soon(settings).await;
        let client = asker.as_mut().map(|asker| (&mut asker.client, settings));
        let view = progress::follow(&*store, id, output, how, client).await?;
        if let Some(asker) = asker {
            asker.close().await;
        }
        Ok(view)
    })
    .await?;
    // Lines have said everything; bars are gone from the terminal.
    if how == Show::Data && std::io::stdout().is_terminal() {
        show::project(&view, &show::Now::default(), output)?;
    }
    Ok(progress::verdict(view.status))
}
