//! `trireme status`: one project as it is now.

use trireme::config::Settings;

use crate::asking::Asker;
use crate::failure::{Failure, Status};
use crate::output::Output;
use crate::{progress, reading, show};

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  trireme status 0197a3c1
  trireme status 0197a3c1-9a55-7a61-8a3e-3c5a1f7e2b10 --json | jq .counts

It reads the store and needs no broker; where one answers, it also says what an open project waits for.")]
pub struct Arguments {
    #[command(flatten)]
    project: reading::Named,
}

pub async fn run(arguments: Arguments, settings: &Settings, output: &Output) -> Result<Status, Failure> {
    let store = reading::open(settings).await?;
    let view = arguments.project.view(&*store, output.is_json()).await?;
    let (mut now, mut elsewhere) = (show::Now::default(), None);
    if !output.is_json() && !view.status.is_ended() {
        let mut agents = None;
        if let Some(mut asker) = Asker::connect_soon(settings).await {
            agents = asker.agents().await.ok();
            asker.close().await;
        }
        now = progress::now(&view, agents.as_deref(), settings);
        elsewhere = progress::elsewhere(progress::store_id(&*store).await, agents.iter().flatten());
    }
    show::project(&view, &now, output)?;
    elsewhere.map_or(Ok(Status::Done), Err)
}
