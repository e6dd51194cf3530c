//! What every run has: a place, a crew at work, a client who submits, a watcher, and the end, which is judged.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;
use trireme::store;
use trireme::wire::ProjectId;
use uuid::Uuid;

use crate::client::{Submitter, watch};
use crate::condition::Condition;
use crate::crew::Crew;
use crate::deeds;
use crate::ledger::{self, Broken};
use crate::place::Place;
use crate::plan;
use crate::random::Random;
use crate::record;
use crate::tally::Tally;
use crate::verdict::Evidence;

/// What the processes have to do before the first fault.
const WARM_WITHIN: Duration = Duration::from_secs(90);
pub const TICK: Duration = Duration::from_millis(50);
/// The client asks for so long how projects ended.
const ASKED_FOR: Duration = Duration::from_secs(40);
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// As many as two cores run beside their servers.
pub const CREW: [(&str, usize); 3] = [("manager", 2), ("coordinator", 3), ("executor", 4)];
/// How many subtasks an executor runs at once.
pub const SLOTS: u32 = 4;

pub struct Scene {
    pub place: Arc<Place>,
    pub tally: Tally,
}

impl Scene {
    pub fn new(place: Place) -> Self {
        Self { place: Arc::new(place), tally: Tally::default() }
    }

    pub fn declare(&self) -> Result<(), String> {
        let declared = self.place.trireme(&["topology", "declare", "--quiet"]).output().map_err(|e| e.to_string())?;
        match declared.status.success() {
            true => Ok(()),
            false => Err(format!("the topology: {}", String::from_utf8_lossy(&declared.stderr))),
        }
    }

    pub fn crew(&self, seed: u64) -> Result<Crew, String> {
        Crew::start(&self.place, CREW, seed)
    }

    pub fn watcher(&self) -> Watcher {
        let place = self.place.clone();
        Watcher(tokio::spawn(async move { watch(&place).await }))
    }

    /// Submits whenever fewer subtasks than `wanted` are outstanding, `most` projects in all; never ends well.
    pub async fn submit(&self, seed: u64, wanted: usize, most: usize) -> Result<(), String> {
        let mut submitter = Submitter::new(&self.place)?;
        let mut random = Random::new(seed);
        for _ in 0..most {
            while self.tally.outstanding() >= wanted {
                tokio::time::sleep(TICK).await;
            }
            let (project, plan) = (ProjectId(Uuid::now_v7()), plan::plan(&mut random));
            let subtasks = plan::known(&plan)?.len();
            submitter.submit(project, plan).await?;
            self.tally.confirmed(project, subtasks);
        }
        std::future::pending().await
    }

    /// Until so many subtasks are outstanding, and so many answered.
    pub async fn warm_up(&self, crew: &mut Crew, outstanding: usize, answered: usize) -> Result<(), String> {
        let began = Instant::now();
        while self.tally.outstanding() < outstanding || self.tally.answered() < answered {
            if began.elapsed() > WARM_WITHIN {
                return Err(format!("nothing much is answered after {} s", WARM_WITHIN.as_secs()));
            }
            self.tick(crew).await?;
        }
        Ok(())
    }

    pub async fn tick(&self, crew: &mut Crew) -> Result<(), String> {
        tokio::time::sleep(TICK).await;
        crew.tend(&self.place)?;
        self.tally.update(&self.place.ledger())
    }

    /// Until the store says that everything has ended, or nothing more was answered for as long as patience lasts.
    pub async fn until_all_ended(&self, crew: &mut Crew, patience: Duration) -> Result<(), String> {
        let (mut answered, mut progress, mut looked) = (0, Instant::now(), Instant::now());
        while progress.elapsed() < patience {
            self.tick(crew).await?;
            if self.tally.answered() > answered {
                (answered, progress) = (self.tally.answered(), Instant::now());
            }
            if self.tally.outstanding() == 0 && looked.elapsed() > LOOK_EVERY {
                looked = Instant::now();
                let store = store::open_to_read(&self.place.settings.store.url).await.map_err(|e| e.to_string())?;
                if record::all_ended(&*store, &self.tally.projects()).await.map_err(|e| e.to_string())? {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// The ledger and the record.
    pub async fn evidence(&self) -> Result<Evidence, String> {
        let ledger = self.place.ledger();
        let mut evidence = Evidence {
            submissions: ledger::read(&ledger.join("submitted.jsonl"))?,
            work: ledger::work(&ledger)?,
            watched: ledger::read(&ledger.join("watched.jsonl"))?,
            faults: ledger::read(&ledger.join("faults.jsonl"))?,
            last_lines: ledger::last_lines(&ledger)?,
            ..Evidence::default()
        };
        evidence.alerts_ms = alerts_ms(&self.place.folder.join("log"), &evidence.faults);
        let store = store::open_to_read(&self.place.settings.store.url).await.map_err(|error| error.to_string())?;
        for project in self.tally.projects() {
            evidence.stored.insert(project, record::stored(&*store, project).await?);
        }
        Ok(evidence)
    }

    /// The client asks how those projects ended of whose end nobody has heard. Gives how many there are.
    pub async fn ask_for_ends(&self) -> Result<usize, String> {
        let evidence = self.evidence().await?;
        let unheard = deeds::unheard(&evidence);
        let count = unheard.len();
        Submitter::new(&self.place)?.ask(unheard, ASKED_FOR).await?;
        Ok(count)
    }

    /// What `trireme check --all` says of the streams; nothing when every rule holds.
    pub fn check(&self) -> Result<Option<String>, String> {
        let run = |arguments: &[&str]| self.place.trireme(arguments).output().map_err(|error| error.to_string());
        let checked = run(&["check", "--all"])?;
        let said = [checked.stdout, checked.stderr].concat();
        Ok((!checked.status.success())
            .then(|| format!("trireme check --all: {}", String::from_utf8_lossy(&said).trim())))
    }
}

/// How long executors without their program took to say so, by their own logs.
fn alerts_ms(logs: &Path, faults: &[Broken]) -> Vec<u64> {
    let said = |target: &str| {
        let log = std::fs::read_to_string(logs.join(format!("{target}.log"))).ok()?;
        let line = log.lines().find(|line| line.contains(ALERT))?;
        let at: jiff::Timestamp = line.split_whitespace().next()?.parse().ok()?;
        u64::try_from(at.as_microsecond()).ok()
    };
    let alert = |line: &Broken| match line {
        // It is written down a moment after the process was started.
        Broken::Born { at_us, kind, target } if kind == Condition::LACKS_PROGRAM => {
            Some((said(target)?.saturating_sub(*at_us) / 1_000).max(1))
        }
        _ => None,
    };
    faults.iter().filter_map(alert).collect()
}

/// What an executor says that lacks a program.
const ALERT: &str = "this executor can not perform the skill";

/// A watcher at work.
pub struct Watcher(JoinHandle<Result<(), String>>);

impl Watcher {
    /// Ends it; an error is what it had ended of before.
    pub async fn stop(self) -> Result<(), String> {
        self.0.abort();
        match self.0.await {
            Ok(done) => done,
            Err(error) if error.is_cancelled() => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    }
}
