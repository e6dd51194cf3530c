//! Breaking things: a strike at a process every half a second, and the faults of the servers by their schedules, each
//! while enough is outstanding.

use std::iter::Peekable;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use crate::crew::Crew;
use crate::faults::{self, Fault};
use crate::ledger::{Book, Broken, now_us};
use crate::scene::Scene;
use crate::servers::Server;

/// No fault before so many subtasks are outstanding, and none while fewer are.
pub const OUTSTANDING_MIN: usize = 200;
/// Between two strikes: 120 a minute.
const STRIKE_EVERY: Duration = Duration::from_millis(500);

/// What was done.
#[derive(Default)]
pub struct Done {
    pub strikes: usize,
    pub faults: Vec<Fault>,
    pub took: Duration,
}

/// Goes on for `length`, and until all faults of the servers are done, which may take longer to come back than there is
/// time between their faults; but not for ever.
pub async fn break_things(
    scene: &Scene,
    crew: &mut Crew,
    broker: &Server,
    database: &Server,
    length: Duration,
) -> Result<Done, String> {
    let book = Book::open(&scene.place.ledger().join("faults.jsonl")).map_err(|error| error.to_string())?;
    let write = |kind: &str, target: &str, outstanding: usize| {
        let line = Broken::Fault { at_us: now_us(), kind: kind.into(), target: target.into(), outstanding };
        book.add(&line).map_err(|error| error.to_string())
    };
    let (began, mut done, mut next_strike) = (Instant::now(), Done::default(), Duration::ZERO);
    let mut tracks = faults::schedules(length).map(Track::new);
    let is_over = |now, tracks: &[Track; 2]| now >= 2 * length || now >= length && tracks.iter().all(Track::is_done);
    while !is_over(began.elapsed(), &tracks) {
        scene.tick(crew).await?;
        let (now, outstanding) = (began.elapsed(), scene.tally.outstanding());
        let is_loaded = outstanding >= OUTSTANDING_MIN;
        if is_loaded && now >= next_strike {
            if let Some(strike) = crew.strike()? {
                write(strike.kind, &strike.target, outstanding)?;
                done.strikes += 1;
            }
            next_strike = (next_strike + STRIKE_EVERY).max(now.saturating_sub(STRIKE_EVERY));
        }
        for track in &mut tracks {
            if let Some(fault) = track.turn(now, is_loaded, broker, database).await? {
                write(fault.word(), "", outstanding)?;
                done.faults.push(fault);
            }
        }
    }
    done.took = began.elapsed();
    for track in tracks {
        mended(track.at_work).await?;
    }
    Ok(done)
}

/// The faults of one server, one after the other.
struct Track {
    schedule: Peekable<std::vec::IntoIter<(Duration, Fault)>>,
    at_work: Option<JoinHandle<Result<(), String>>>,
}

impl Track {
    fn new(schedule: faults::Schedule) -> Self {
        Self { schedule: schedule.into_iter().peekable(), at_work: None }
    }

    fn is_done(&self) -> bool {
        self.schedule.len() == 0 && self.at_work.is_none()
    }

    /// Begins the next fault when it is due and the one before is mended.
    async fn turn(
        &mut self,
        now: Duration,
        is_loaded: bool,
        broker: &Server,
        database: &Server,
    ) -> Result<Option<Fault>, String> {
        if self.at_work.as_ref().is_some_and(JoinHandle::is_finished) {
            mended(self.at_work.take()).await?;
        }
        if self.at_work.is_some() || !is_loaded {
            return Ok(None);
        }
        let Some((_, fault)) = self.schedule.next_if(|(at, _)| *at <= now) else { return Ok(None) };
        let (broker, database) = (broker.clone(), database.clone());
        self.at_work = Some(tokio::spawn(async move { fault.strike(&broker, &database).await }));
        Ok(Some(fault))
    }
}

async fn mended(at_work: Option<JoinHandle<Result<(), String>>>) -> Result<(), String> {
    match at_work {
        Some(task) => task.await.map_err(|error| error.to_string())?,
        None => Ok(()),
    }
}
