//! `trireme topology delete`. A broker does not list its queues: those of skills are found by their names, which the
//! settings, the agents, the store and the command line know.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use trireme::config::{Settings, masked};
use trireme::runtime::client::{Answers, Client};
use trireme::runtime::port::{SystemClock, Topology, Transport};
use trireme::runtime::reader;
use trireme::runtime::topology::{TopologyOptions, topology};
use trireme::transport::rabbit::RabbitTransport;
use trireme::wire::address::{Address, check_skill};

use crate::failure::Failure;
use crate::output::Output;
use crate::show::count;
use crate::{consent, reading};

/// How long agents have to answer before the topology is taken away from under them.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);
/// How long the store is looked through for the skills of its projects.
const LOOK_MAX: Duration = Duration::from_secs(5);

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  trireme topology delete
  trireme topology delete --skills Download,Mirror --yes

It goes by `broker.url`, `broker.namespace`, `broker.partitions` and the skills of the settings, as `trireme config \
show` prints them. The queues of other skills go too where an agent that answers or a project in the store of \
`store.url` names them, newest first for as long as that takes 5 s; a broker does not list its queues.")]
pub struct Arguments {
    /// The queues of these skills too
    #[arg(long, value_name = "A,B", value_delimiter = ',', value_parser = skill)]
    skills: Vec<String>,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Even while agents answer
    #[arg(long)]
    force: bool,
}

fn skill(text: &str) -> Result<String, String> {
    check_skill(text).map(|()| text.to_owned())
}

pub async fn run(
    arguments: Arguments,
    transport: &RabbitTransport,
    settings: &Settings,
    output: &Output,
) -> Result<(), Failure> {
    let options = settings.topology();
    let namespace = &options.namespace;
    let answers = match who_answers(&topology(&options), transport).await {
        Ok(answers) => answers,
        // What has another shape than ours can be deleted all the same.
        Err(_) if arguments.force => Answers::default(),
        Err(failure) => return Err(failure),
    };
    if let Some(first) = answers.answered.keys().next().filter(|_| !arguments.force) {
        let others = match answers.answered.len() {
            1 => String::new(),
            count => format!(" and {} more", count - 1),
        };
        let message = format!("agents of `{namespace}` are at work: `{first}`{others}");
        return Err(Failure::usage(message).hint("stop them first, or give --force"));
    }
    let mut skills: BTreeSet<String> = options.skills.iter().chain(&arguments.skills).cloned().collect();
    let agents = answers.answered.values().chain(answers.heard_of.values());
    skills.extend(agents.flat_map(|agent| &agent.skills).cloned());
    match tokio::time::timeout(LOOK_MAX, of_projects(settings, &mut skills)).await {
        Ok(Ok(())) => {}
        Ok(Err(failure)) => {
            tracing::debug!(failure.message, "the store can not be asked for the skills of its projects")
        }
        Err(_) => tracing::debug!("the store has more projects than could be looked at for their skills"),
    }
    skills.retain(|skill| check_skill(skill).is_ok());
    let shape = topology(&TopologyOptions { skills: skills.into_iter().collect(), ..options.clone() });

    let there: Vec<u32> = super::depths(&shape, transport).await?.iter().flatten().map(|depth| depth.ready).collect();
    let messages: usize = there.iter().map(|&ready| ready as usize).sum();
    let what = format!(
        "{} with {} and the exchanges of `{namespace}`",
        count(there.len(), "queue"),
        count(messages, "message")
    );
    if !arguments.yes {
        consent::check_terminal(&format!("deletes `{namespace}`"))?;
        if !consent::ask(format!("delete {what} at {}?", masked(&settings.broker.url))).await? {
            output.note("nothing was deleted");
            return Ok(());
        }
    }
    transport.delete(&shape).await?;
    output.note(&format!("deleted {what}"));
    output.note("queues of skills that nobody configures or offers can not be seen here: --skills A,B deletes them");
    Ok(())
}

/// Who answers a ping to all.
async fn who_answers(shape: &Topology, transport: &RabbitTransport) -> Result<Answers, Failure> {
    // Where nothing was ever declared there is nothing to ask through; it goes with the rest.
    let ways = Topology { queues: Vec::new(), bindings: Vec::new(), ..shape.clone() };
    transport.declare(&ways).await?;
    let mut client = Client::connect(transport, Arc::new(SystemClock)).await?;
    Ok(client.ping(Address::everybody(), ANSWER_WITHIN, None).await?)
}

/// Adds the skills of the subtasks in the store, the newest projects first.
async fn of_projects(settings: &Settings, skills: &mut BTreeSet<String>) -> Result<(), Failure> {
    let store = reading::open(settings).await?;
    reader::pages(&*store, None, async |page| {
        for listed in page {
            let view = reader::project(&*store, listed.project_id, false).await?;
            for subtask in view.iter().flat_map(|view| view.subtasks()) {
                skills.insert(subtask.skill.clone());
                skills.extend(subtask.attempt_log.iter().filter_map(|attempt| attempt.skill.clone()));
            }
        }
        Ok(())
    })
    .await
}
