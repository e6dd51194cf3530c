//! The two who stand outside: a client, who submits and writes down what the broker confirmed, and a watcher, who
//! writes down every completion event that it hears. Events are best effort: of what the watcher did not hear the client
//! asks in the end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use trireme::runtime::client::Client;
use trireme::runtime::port::{Consumer, SystemClock, Transport, TransportError};
use trireme::transport::rabbit::{RabbitOptions, RabbitTransport};
use trireme::wire::address::{Exchange, Queue};
use trireme::wire::content::NewProject;
use trireme::wire::{Content, GoalPlan, ProjectId, codec};
use uuid::Uuid;

use crate::ledger::{Book, Submission, Watched, now_us};
use crate::place::Place;

/// A broker that is down is asked again after this.
const PAUSE: Duration = Duration::from_millis(200);
/// What is not answered by then is asked again.
const ANSWERED_WITHIN: Duration = Duration::from_secs(10);

fn transport(place: &Place, name: &str) -> Result<RabbitTransport, TransportError> {
    RabbitTransport::new(RabbitOptions {
        url: place.settings.broker.url.clone(),
        namespace: place.namespace().clone(),
        connection_name: name.into(),
    })
}

pub struct Submitter {
    transport: RabbitTransport,
    client: Option<Client>,
    book: Book,
}

impl Submitter {
    pub fn new(place: &Place) -> Result<Self, String> {
        let transport = transport(place, "chaos client").map_err(|error| error.to_string())?;
        let book = Book::open(&place.ledger().join("submitted.jsonl")).map_err(|error| error.to_string())?;
        Ok(Self { transport, client: None, book })
    }

    /// Submits until the broker has it: again and again under the same id.
    pub async fn submit(&mut self, project: ProjectId, plan: Vec<GoalPlan>) -> Result<(), String> {
        let write = |book: &Book, line: Submission| book.add(&line).map_err(|error| error.to_string());
        write(&self.book, Submission::Asked { at_us: now_us(), project, plan: plan.clone() })?;
        loop {
            match self.try_once(project, &plan).await {
                Ok(()) => return write(&self.book, Submission::Confirmed { at_us: now_us(), project }),
                Err(_) => {
                    self.client = None;
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    async fn try_once(&mut self, project: ProjectId, plan: &[GoalPlan]) -> Result<(), String> {
        let client = match &self.client {
            Some(client) => client,
            None => {
                let client = Client::connect(&self.transport, Arc::new(SystemClock)).await;
                self.client.insert(client.map_err(|error| error.to_string())?)
            }
        };
        client.submit(project, request(project, plan)).await.map_err(|error| error.to_string())
    }

    /// Asks the managers how these have ended, until all are told or there is no time left: whoever hands a project in
    /// again under its id is told how it stands.
    pub async fn ask(&self, mut projects: BTreeMap<ProjectId, Vec<GoalPlan>>, within: Duration) -> Result<(), String> {
        let until = Instant::now() + within;
        while !projects.is_empty() && Instant::now() < until {
            // An answer is best effort too.
            let _ = tokio::time::timeout(ANSWERED_WITHIN, self.ask_once(&mut projects)).await;
        }
        Ok(())
    }

    async fn ask_once(&self, projects: &mut BTreeMap<ProjectId, Vec<GoalPlan>>) -> Result<(), String> {
        let client = Client::connect(&self.transport, Arc::new(SystemClock)).await;
        let mut client = client.map_err(|error| error.to_string())?;
        for (project, plan) in &*projects {
            client.submit(*project, request(*project, plan)).await.map_err(|error| error.to_string())?;
        }
        while !projects.is_empty() {
            let told = client.completion().await.map_err(|error| error.to_string())?;
            if told.status.is_ended() && projects.remove(&told.project_id).is_some() {
                let line = Submission::Told { at_us: now_us(), project: told.project_id, status: told.status };
                self.book.add(&line).map_err(|error| error.to_string())?;
            }
        }
        Ok(())
    }
}

fn request(project: ProjectId, plan: &[GoalPlan]) -> NewProject {
    NewProject::planned(format!("chaos {project}"), plan.to_vec())
}

/// Listens until it is dropped. What happens while the broker is down it can not hear.
pub async fn watch(place: &Place) -> Result<(), String> {
    let book = Book::open(&place.ledger().join("watched.jsonl")).map_err(|error| error.to_string())?;
    let transport = transport(place, "chaos watcher").map_err(|error| error.to_string())?;
    loop {
        // A name of its own each time: the broker may not have noticed yet that the one before is gone.
        let queue = Queue::Watcher(Uuid::now_v7().simple().to_string());
        let bindings = [(Exchange::Events, "management.ended.*".to_owned())];
        if let Ok(mut consumer) = transport.subscribe(&queue, &bindings).await {
            listen(&mut *consumer, &book).await?;
            book.add(&Watched::CutOff { at_us: now_us() }).map_err(|error| error.to_string())?;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Until the channel is gone.
async fn listen(consumer: &mut dyn Consumer, book: &Book) -> Result<(), String> {
    while let Ok(deliveries) = consumer.next(256).await {
        for delivery in deliveries {
            for part in codec::decode(&delivery.body) {
                let envelope = part.map_err(|unreadable| format!("an event: {}", unreadable.detail))?;
                let Content::ProjectCompletion(told) = envelope.content else { continue };
                let counts = told.final_report.counts;
                let (project, status) = (told.project_id, told.status);
                let (completed, total) = (counts.completed, counts.total);
                let line = Watched::Ended { at_us: now_us(), project, status, completed, total };
                book.add(&line).map_err(|error| error.to_string())?;
            }
        }
    }
    Ok(())
}
