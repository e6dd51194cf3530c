//! The processes under test: real managers, coordinators and executors, which die, stand still, and are there again.

use std::fmt::{Display, Formatter};
use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::condition::Condition;
use crate::place::Place;
use crate::random::Random;
use crate::work::LEDGER;

/// How long a process that is gone stays away: nothing, to a container's restart.
const AWAY_MS_MAX: u64 = 600;
/// How long a process stands still, most of the time; and now and then, so long that its peers and the broker take it
/// for dead, and it comes back to find its work in other hands.
const STILL_MS_MAX: u64 = 2_500;
const STILL_LONG_MS: u64 = 22_000;
const LONG_ONE_IN: u64 = 12;
/// So much of a log is told.
const LAST_LINES: usize = 3;
/// What a worker logs when it is at work.
const READY: &str = " ready ";
/// The exit status of one who finds the broker or the store away.
const UNREACHABLE: i32 = 3;
/// What is done to each layer in turn: they are drawn from all of it until nothing is left.
const ROUND: [&str; 3] = [KILL, KILL, STOP];
pub const KILL: &str = "SIGKILL";
pub const STOP: &str = "SIGSTOP";
pub const CONTINUE: &str = "SIGCONT";

pub struct Crew {
    members: Vec<Member>,
    random: Random,
    /// What is left of this round, by layer.
    due: Vec<(&'static str, &'static str)>,
    /// Processes that ended although nobody killed them.
    pub own_ends: Vec<OwnEnd>,
    /// Processes that stood still and go on, since somebody looked.
    pub continued: Vec<String>,
    /// Processes that began in a condition that is a fault, and which, since somebody looked.
    pub born: Vec<(String, &'static str)>,
}

struct Member {
    layer: &'static str,
    number: usize,
    life: usize,
    /// That of its next life: one that found the broker away is begun again with the same.
    condition: Condition,
    state: State,
}

enum State {
    Running(Child),
    /// Stopped until then.
    Still(Child, Instant),
    /// Gone until then.
    Away(Instant),
}

/// A process that ended by itself.
pub struct OwnEnd {
    pub name: String,
    pub status: ExitStatus,
    /// It was started while the broker or the database was away, and said so: whoever is at work goes on by itself.
    pub had_no_chance: bool,
    /// The end of its log.
    pub last_words: String,
}

impl Display for OwnEnd {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ended by itself: {}: {}", self.name, self.status, self.last_words)
    }
}

/// What was done to whom.
pub struct Strike {
    pub kind: &'static str,
    pub target: String,
}

impl Crew {
    /// So many of each layer, all running.
    pub fn start(place: &Place, counts: [(&'static str, usize); 3], seed: u64) -> Result<Self, String> {
        let members = counts.into_iter().flat_map(|(layer, count)| {
            (1..=count).map(move |number| Member {
                layer,
                number,
                life: 0,
                // There has to be a beginning.
                condition: Condition::Well,
                state: State::Away(Instant::now()),
            })
        });
        let mut crew = Self {
            members: members.collect(),
            random: Random::new(seed),
            due: Vec::new(),
            own_ends: Vec::new(),
            continued: Vec::new(),
            born: Vec::new(),
        };
        crew.tend(place)?;
        Ok(crew)
    }

    /// Brings back who is due, and who ended by itself.
    pub fn tend(&mut self, place: &Place) -> Result<(), String> {
        for member in &mut self.members {
            let pause = Duration::from_millis(self.random.next() % AWAY_MS_MAX);
            self.own_ends.extend(member.reap(place, pause));
            let was_still = matches!(member.state, State::Still(..));
            if member.come_back(place)? {
                self.born.extend(member.condition.word().map(|word| (member.name(), word)));
            }
            self.continued.extend((was_still && member.is_running()).then(|| member.name()));
        }
        Ok(())
    }

    /// Kills or stops somebody who is running, of each layer in turn; none when nobody of those whose turn it is runs.
    pub fn strike(&mut self) -> Result<Option<Strike>, String> {
        if self.due.is_empty() {
            for member in &self.members {
                let turns = ROUND.map(|kind| (member.layer, kind));
                if !self.due.contains(&turns[0]) {
                    self.due.extend(turns);
                }
            }
        }
        let is_there = |layer| self.members.iter().any(|one| one.layer == layer && one.is_running());
        let open: Vec<usize> = (0..self.due.len()).filter(|at| is_there(self.due[*at].0)).collect();
        if open.is_empty() {
            return Ok(None);
        }
        let (layer, kind) = self.due.swap_remove(open[self.random.below(open.len())]);
        let mut victims: Vec<&mut Member> =
            self.members.iter_mut().filter(|one| one.layer == layer && one.is_running()).collect();
        let at = self.random.below(victims.len());
        let (random, victim) = (&mut self.random, &mut victims[at]);
        let strike = Strike { kind, target: victim.name() };
        if kind == KILL {
            victim.kill(Duration::from_millis(random.next() % AWAY_MS_MAX))?;
            victim.condition = Condition::of(layer, random);
            return Ok(Some(strike));
        }
        let still = match random.next() % LONG_ONE_IN {
            0 => STILL_LONG_MS,
            _ => 100 + random.next() % STILL_MS_MAX,
        };
        victim.stand_still(Duration::from_millis(still))?;
        Ok(Some(strike))
    }

    /// Everybody goes on.
    pub fn heal(&mut self, place: &Place) -> Result<(), String> {
        for member in &mut self.members {
            match &mut member.state {
                State::Still(_, until) | State::Away(until) => *until = Instant::now(),
                State::Running(_) => {}
            }
        }
        self.tend(place)
    }
}

impl Member {
    fn name(&self) -> String {
        format!("{}-{}-{}", self.layer, self.number, self.life)
    }

    fn is_running(&self) -> bool {
        matches!(self.state, State::Running(_))
    }

    fn reap(&mut self, place: &Place, pause: Duration) -> Option<OwnEnd> {
        let State::Running(child) = &mut self.state else { return None };
        let status = child.try_wait().ok().flatten()?;
        self.state = State::Away(Instant::now() + pause);
        let said = std::fs::read_to_string(self.log(place)).unwrap_or_default();
        let mut last: Vec<&str> = said.lines().rev().take(LAST_LINES).collect();
        last.reverse();
        let had_no_chance = !said.contains(READY) && status.code() == Some(UNREACHABLE);
        Some(OwnEnd { name: self.name(), status, had_no_chance, last_words: last.join(" / ") })
    }

    fn log(&self, place: &Place) -> PathBuf {
        place.folder.join("log").join(format!("{}.log", self.name()))
    }

    /// True when a life begins.
    fn come_back(&mut self, place: &Place) -> Result<bool, String> {
        let now = Instant::now();
        let mut begins = false;
        let state = std::mem::replace(&mut self.state, State::Away(now));
        self.state = match state {
            State::Still(child, until) if until <= now => {
                signal(&child, Signal::CONT)?;
                State::Running(child)
            }
            State::Away(until) if until <= now => {
                self.life += 1;
                begins = true;
                State::Running(self.spawn(place)?)
            }
            other => other,
        };
        Ok(begins)
    }

    fn spawn(&self, place: &Place) -> Result<Child, String> {
        let log = File::create(self.log(place)).map_err(|error| error.to_string())?;
        let ledger = place.ledger().join(format!("{}.jsonl", self.name()));
        // Whatever becomes of this program, they leave: their standard input ends.
        let command = place.trireme(&[self.layer, "--id", &self.name(), "--with-parent"]);
        let mut command = self.condition.apply(command, &place.lacking)?;
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(log).env(LEDGER, ledger);
        command.spawn().map_err(|error| format!("{}: {error}", self.name()))
    }

    fn kill(&mut self, away: Duration) -> Result<(), String> {
        if let State::Running(child) = &mut self.state {
            child.kill().and_then(|()| child.wait()).map_err(|error| error.to_string())?;
            self.state = State::Away(Instant::now() + away);
        }
        Ok(())
    }

    fn stand_still(&mut self, still: Duration) -> Result<(), String> {
        let state = std::mem::replace(&mut self.state, State::Away(Instant::now()));
        self.state = match state {
            State::Running(child) => {
                signal(&child, Signal::STOP)?;
                State::Still(child, Instant::now() + still)
            }
            other => other,
        };
        Ok(())
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        if let State::Running(child) | State::Still(child, _) = &mut self.state {
            // It may be gone already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// To a child that was not waited for: its number is still its own.
fn signal(child: &Child, signal: Signal) -> Result<(), String> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).ok_or("a process without a number")?;
    kill_process(pid, signal).map_err(|error| format!("{signal:?}: {error}"))
}
