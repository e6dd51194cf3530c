//! Breaking things: a strike at a process twice a second, and the faults of the servers by their schedules, each
//! while enough is outstanding.

use std::iter::Peekable;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use crate::crew::{CONTINUE, Crew};
use crate::database::Database;
use crate::faults::{self, Fault};
use crate::ledger::{Book, Broken, now_us};
use crate::scene::Scene;
use crate::servers::Server;

/// Each fault meets so many outstanding subtasks at the least.
pub const OUTSTANDING_MIN: usize = 200;
/// No fault while fewer are known to be outstanding: between a look at the ledger and the fault some are answered.
const LOADED: usize = OUTSTANDING_MIN + OUTSTANDING_MIN / 8;
/// Between two strikes: 180 a minute.
const STRIKE_EVERY: Duration = Duration::from_millis(333);
/// Maximum strikes that are made up for after they had to wait for load, or for a process that runs.
const LATE_MAX: u32 = 12;

/// Goes on for `length`, and until all faults of the servers are done, which may take longer to come back than there is
/// time between their faults; but not for ever. Gives how long it took. In the end everybody is well again.
pub async fn break_things(
    scene: &Scene,
    crew: &mut Crew,
    broker: &Server,
    database: &Database,
    length: Duration,
) -> Result<Duration, String> {
    let book = FaultBook::open(scene)?;
    let (began, mut next_strike) = (Instant::now(), Duration::ZERO);
    let mut tracks = faults::schedules(length).map(Track::new);
    let is_over = |now, tracks: &[Track; 2]| now >= 2 * length || now >= length && tracks.iter().all(Track::is_done);
    while !is_over(began.elapsed(), &tracks) {
        scene.tick(crew).await?;
        book.continued(crew)?;
        book.born(crew)?;
        let now = began.elapsed();
        let is_loaded = scene.tally.outstanding() >= LOADED;
        if is_loaded && now >= next_strike {
            // When no process runs, the strike waits for one.
            if let Some(strike) = crew.strike()? {
                book.broken(strike.kind, strike.target)?;
                next_strike = (next_strike + STRIKE_EVERY).max(now.saturating_sub(LATE_MAX * STRIKE_EVERY));
            }
        }
        for track in &mut tracks {
            track.look(&book).await?;
            if is_loaded {
                track.turn(now, &book, broker, database)?;
            }
        }
    }
    let took = began.elapsed();
    for track in &mut tracks {
        track.finish(&book).await?;
    }
    crew.heal(&scene.place)?;
    book.continued(crew)?;
    Ok(took)
}

/// Writes down what was done.
struct FaultBook(Book);

impl FaultBook {
    fn open(scene: &Scene) -> Result<Self, String> {
        Book::open(&scene.place.ledger().join("faults.jsonl")).map(Self).map_err(|error| error.to_string())
    }

    fn broken(&self, kind: &str, target: String) -> Result<(), String> {
        let line = Broken::Fault { at_us: now_us(), kind: kind.into(), target };
        self.0.add(&line).map_err(|error| error.to_string())
    }

    fn mended(&self, kind: &str, target: String) -> Result<(), String> {
        let line = Broken::Mended { at_us: now_us(), kind: kind.into(), target };
        self.0.add(&line).map_err(|error| error.to_string())
    }

    /// Lives that began in a condition that is a fault.
    fn born(&self, crew: &mut Crew) -> Result<(), String> {
        crew.born.drain(..).try_for_each(|(target, kind)| {
            let line = Broken::Born { at_us: now_us(), kind: kind.into(), target };
            self.0.add(&line).map_err(|error| error.to_string())
        })
    }

    fn continued(&self, crew: &mut Crew) -> Result<(), String> {
        crew.continued.drain(..).try_for_each(|target| self.mended(CONTINUE, target))
    }
}

/// The faults of one server, one after the other.
struct Track {
    schedule: Peekable<std::vec::IntoIter<(Duration, Fault)>>,
    at_work: Option<(Fault, JoinHandle<Result<String, String>>)>,
}

impl Track {
    fn new(schedule: faults::Schedule) -> Self {
        Self { schedule: schedule.into_iter().peekable(), at_work: None }
    }

    fn is_done(&self) -> bool {
        self.schedule.len() == 0 && self.at_work.is_none()
    }

    /// Whether the last fault is mended.
    async fn look(&mut self, book: &FaultBook) -> Result<(), String> {
        match self.at_work.as_ref().is_some_and(|(_, task)| task.is_finished()) {
            true => self.finish(book).await,
            false => Ok(()),
        }
    }

    /// Waits until the last fault is mended.
    async fn finish(&mut self, book: &FaultBook) -> Result<(), String> {
        let Some((fault, task)) = self.at_work.take() else { return Ok(()) };
        let told = task.await.map_err(|error| error.to_string())??;
        book.mended(fault.word(), told)
    }

    /// Begins the next fault when it is due and the one before is mended.
    fn turn(&mut self, now: Duration, book: &FaultBook, broker: &Server, database: &Database) -> Result<(), String> {
        if self.at_work.is_some() {
            return Ok(());
        }
        let Some((_, fault)) = self.schedule.next_if(|(at, _)| *at <= now) else { return Ok(()) };
        book.broken(fault.word(), String::new())?;
        let (broker, database) = (broker.clone(), database.clone());
        self.at_work = Some((fault, tokio::spawn(async move { fault.strike(&broker, &database).await })));
        Ok(())
    }
}
