//! What is known of executors, and the dispatch window that follows from it: how many commands of a skill may be out at
//! once. Queues stay short by it however large a project is, so that what is decided later (a priority, a cancel) acts
//! before the broker and not after it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::broken::{self, Broken};
use crate::domain::phase::Phase;
use crate::wire::content::{Layer, Presence, RunningCommand};
use crate::wire::{AgentId, MessageId, StreamId, Timestamp};

/// Outstanding commands of a skill per partition. The least keeps an executor busy over one round trip of its
/// results; the most is what a restart of the broker may send twice, and what is out over the round trip of the quickest
/// work: 60,000 commands a second that are packed.
const WINDOW_MIN: u32 = 16;
const WINDOW_MAX: u32 = 8_192;
/// Executors have this long to say what they run, after the queue of a skill was deleted.
const LOSS_SETTLES_MS: u64 = 1_000;
/// What several executors tell within this time is the same loss.
const LOSS_SAME_MS: u64 = 5_000;
const LOSS_REMEMBERED_MS: u64 = 60_000;
/// What completed in this time is added, so that work that is quicker than its messages is not starved. It is also how
/// long whatever comes later waits behind it.
const PACE_MS: u64 = 50;
/// Work that takes less than this is packed.
const QUICK_US: u64 = 2_000;
/// Of quick work what completes in so many of those times is out: it is in commits and at the broker, not in the way of
/// others at executors.
const QUICK_PACES: u32 = 2;
/// Work of which nothing completed for so long has just begun when something does.
const QUIET_MS: u64 = 10 * PACE_MS;
/// So many commands in one message at the most, of so many that are out.
const BATCH_MAX: u32 = 256;
const BATCHED_MAX: u32 = 2_048;
/// So many completions weigh as much as all before them.
const MEAN_OF: u64 = 16;
/// What an executor was heard to run is remembered for this long: longer than any lease between two heartbeats.
const REMEMBERED_MS: u64 = 10 * 60_000;

/// What executors announce: one for all partitions of a process.
#[derive(Debug, Default)]
pub(crate) struct Window {
    announced: Mutex<Announced>,
}

#[derive(Debug, Default)]
struct Announced {
    skills: BTreeMap<String, Offered>,
    /// The executors that can perform a skill, by their own word.
    able: BTreeMap<String, Vec<AgentId>>,
    /// By skill: when its queue was deleted, as far as that is news.
    lost: BTreeMap<String, Loss>,
    /// By agent and skill: of how many losses it has told.
    told_lost: BTreeMap<(AgentId, String), u32>,
    /// The open phases of the partitions that this process holds, with their skills.
    open: BTreeMap<StreamId, (u32, Vec<String>)>,
    /// The commands that they run, by command.
    running: BTreeMap<MessageId, Sighting>,
    /// Of which sighting a command was last found not to be current.
    strays: BTreeMap<MessageId, Timestamp>,
    /// Since when they are listened to without a gap.
    listening_since: Timestamp,
}

/// That a skill's queue was deleted.
#[derive(Debug, Clone, Copy)]
struct Loss {
    at: Timestamp,
    /// The phases that it concerns were woken.
    is_told: bool,
}

/// What the executors of a skill have together.
#[derive(Debug, Default, Clone, Copy)]
struct Offered {
    executors: u32,
    slots: u32,
}

/// That an executor said that it runs a command.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sighting {
    pub(crate) agent: AgentId,
    pub(crate) of: RunningCommand,
    pub(crate) at: Timestamp,
}

impl Window {
    /// What the live executors announce now.
    pub(crate) fn set(&self, agents: &[Presence], listening_since: Timestamp, now: Timestamp) {
        let mut announced = self.lock();
        announced.note_losses(agents, now);
        announced.skills.clear();
        announced.able.clear();
        announced.listening_since = listening_since;
        let oldest = agents.iter().map(|agent| agent.last_seen).max().unwrap_or_default();
        announced.running.retain(|_, seen| oldest.ms_since(seen.at) <= REMEMBERED_MS);
        let Announced { running, strays, .. } = &mut *announced;
        strays.retain(|command, _| running.contains_key(command));
        for agent in agents.iter().filter(|agent| agent.layer == Layer::Execution) {
            for skill in &agent.skills {
                let offered = announced.skills.entry(skill.clone()).or_default();
                offered.executors += 1;
                offered.slots += agent.slots;
                if !agent.unable.iter().any(|unable| unable.skill == *skill) {
                    announced.able.entry(skill.clone()).or_default().push(agent.agent_id.clone());
                }
            }
            for of in &agent.commands {
                let seen = Sighting { agent: agent.agent_id.clone(), of: of.clone(), at: agent.last_seen };
                announced.running.insert(of.command, seen);
            }
        }
    }

    pub(crate) fn is_offered(&self, skill: &str) -> bool {
        self.lock().skills.contains_key(skill)
    }

    /// When the queue of a skill was deleted, once every executor has had the time to say what it runs.
    pub(crate) fn queue_lost_at(&self, skill: &str) -> Option<Timestamp> {
        self.lock().lost.get(skill).filter(|loss| loss.is_told).map(|loss| loss.at)
    }

    /// The open phases, and their partitions, that are to be woken because a queue of theirs was deleted: each once.
    pub(super) fn to_wake(&self, now: Timestamp) -> Vec<(StreamId, u32)> {
        let mut announced = self.lock();
        let Announced { lost, open, .. } = &mut *announced;
        let is_due = |loss: &Loss| !loss.is_told && now.ms_since(loss.at) >= LOSS_SETTLES_MS;
        let due: Vec<String> = lost.iter().filter(|(_, loss)| is_due(loss)).map(|(skill, _)| skill.clone()).collect();
        due.iter().for_each(|skill| _ = lost.get_mut(skill).map(|loss| loss.is_told = true));
        let uses = |skills: &[String]| skills.iter().any(|skill| due.contains(skill));
        open.iter()
            .filter(|(_, (_, skills))| uses(skills))
            .map(|(stream, (partition, _))| (*stream, *partition))
            .collect()
    }

    fn opened(&self, stream: StreamId, partition: u32, skills: &[String]) {
        self.lock().open.insert(stream, (partition, skills.to_vec()));
    }

    /// This process does not hold a partition any more.
    pub(super) fn left(&self, partition: u32) {
        self.lock().open.retain(|_, (of, _)| *of != partition);
    }

    fn closed(&self, stream: StreamId) {
        self.lock().open.remove(&stream);
    }

    /// Whether an executor can perform a skill, beside these.
    pub(crate) fn is_able(&self, skill: &str, beside: &[AgentId]) -> bool {
        self.lock().able.get(skill).is_some_and(|able| able.iter().any(|agent| !beside.contains(agent)))
    }

    pub(crate) fn offered(&self) -> Vec<String> {
        self.lock().skills.keys().cloned().collect()
    }

    /// When an executor last said that it runs this command.
    pub(crate) fn heard_of(&self, command: MessageId) -> Option<Timestamp> {
        self.lock().running.get(&command).map(|seen| seen.at)
    }

    pub(crate) fn listening_since(&self) -> Timestamp {
        self.lock().listening_since
    }

    /// Commands of a phase that executors still say they run, although they are not current, by agent: each once a
    /// sighting. What was current, or was not found out, when its executor last spoke may have ended since; that is
    /// only seen by the next sighting.
    pub(crate) fn strays(
        &self,
        stream: StreamId,
        is_current: impl Fn(&RunningCommand) -> bool,
    ) -> BTreeMap<AgentId, Vec<MessageId>> {
        let mut announced = self.lock();
        let Announced { running, strays, .. } = &mut *announced;
        let mut found = BTreeMap::<_, Vec<_>>::new();
        let of_stream = |seen: &&Sighting| StreamId::Phase(seen.of.project_id, seen.of.subtask_id.phase) == stream;
        for seen in running.values().filter(of_stream).filter(|seen| !is_current(&seen.of)) {
            if strays.insert(seen.of.command, seen.at).is_some_and(|before| before < seen.at) {
                found.entry(seen.agent.clone()).or_default().push(seen.of.command);
            }
        }
        found
    }

    fn offer(&self, skill: &str) -> Offered {
        self.lock().skills.get(skill).copied().unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, Announced> {
        self.announced.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Announced {
    /// Takes in which queues executors have lost. Several notice the same loss.
    fn note_losses(&mut self, agents: &[Presence], now: Timestamp) {
        self.lost.retain(|_, loss| now.ms_since(loss.at) <= LOSS_REMEMBERED_MS);
        self.told_lost.retain(|(agent, _), _| agents.iter().any(|other| other.agent_id == *agent));
        for agent in agents {
            for lost in &agent.queues_lost {
                let key = (agent.agent_id.clone(), lost.skill.clone());
                if self.told_lost.insert(key, lost.times) == Some(lost.times) {
                    continue;
                }
                let at = agent.last_seen.minus_ms(lost.ago_ms);
                let is_news = self.lost.get(&lost.skill).is_none_or(|known| at.ms_since(known.at) > LOSS_SAME_MS);
                if is_news && now.ms_since(at) <= LOSS_REMEMBERED_MS {
                    tracing::info!(skill = lost.skill, "its queue was deleted; what waited in it is sent again");
                    self.lost.insert(lost.skill.clone(), Loss { at, is_told: false });
                }
            }
        }
    }
}

/// One partition's share of its window: evenly between the open phases that use a skill.
#[derive(Debug, Default)]
pub(crate) struct Share {
    open: BTreeMap<StreamId, Vec<String>>,
    phases: BTreeMap<String, u32>,
    pace: BTreeMap<String, Pace>,
}

/// What completed in the current slice of time, and in the one before it.
#[derive(Debug, Default, Clone, Copy)]
struct Pace {
    slice: u64,
    now: u32,
    before: u32,
    /// When the last one was completed.
    last: Timestamp,
    /// When the one before the current slice was completed, or the first of it if that was long ago.
    since: Timestamp,
    /// What one takes, in microseconds: a mean in which the last ones weigh most.
    takes_us: u64,
}

impl Share {
    /// A phase was looked at: it may have opened or ended.
    pub(crate) fn see(&mut self, window: &Window, stream: StreamId, phase: &Phase) {
        let is_open = phase.opened().is_some() && phase.ended().is_none();
        match (is_open, self.open.contains_key(&stream)) {
            (true, false) => {
                for skill in phase.skills() {
                    *self.phases.entry(skill.clone()).or_insert(0) += 1;
                }
                self.open.insert(stream, phase.skills().to_vec());
                let partition = phase.opened().map_or(0, |opened| opened.partition);
                window.opened(stream, partition, phase.skills());
            }
            (false, true) => self.forget(window, stream),
            _ => {}
        }
    }

    pub(crate) fn forget(&mut self, window: &Window, stream: StreamId) {
        window.closed(stream);
        for skill in self.open.remove(&stream).into_iter().flatten() {
            if let Some(phases) = self.phases.get_mut(&skill) {
                *phases = phases.saturating_sub(1);
            }
        }
    }

    /// One was completed, and took its executor so long.
    pub(crate) fn completed(&mut self, skill: &str, took_ms: u64, now: Timestamp) {
        let took_us = took_ms.saturating_mul(1_000);
        let pace = match self.pace.get_mut(skill) {
            Some(pace) => pace,
            None => self.pace.entry(skill.to_owned()).or_insert(Pace { takes_us: took_us, ..Pace::default() }),
        };
        pace.takes_us = (pace.takes_us.saturating_mul(MEAN_OF - 1).saturating_add(took_us)) / MEAN_OF;
        pace.turn(now);
        if pace.now == 0 {
            pace.since = if now.ms_since(pace.last) < QUIET_MS { pace.last } else { now };
        }
        pace.last = now;
        pace.now = pace.now.saturating_add(1);
    }

    /// How many commands of this skill may share one message: one, unless they are quicker than their messages. Each
    /// executor is to get several messages of what is out.
    pub(crate) fn batch_of(&self, window: &Window, skill: &str) -> u32 {
        match self.pace.get(skill).is_some_and(Pace::is_quick) {
            true => (BATCHED_MAX / (4 * window.offer(skill).executors.max(1))).clamp(1, BATCH_MAX),
            false => 1,
        }
    }

    /// How many commands of this skill a phase may have out.
    pub(crate) fn of(&self, window: &Window, skill: &str, now: Timestamp) -> u32 {
        let pace = self.pace.get(skill).copied().map_or(0, |mut pace| {
            pace.turn(now);
            pace.most(now)
        });
        let all = window.offer(skill).slots.saturating_mul(2).saturating_add(pace).clamp(WINDOW_MIN, WINDOW_MAX);
        (all / self.phases.get(skill).copied().unwrap_or(1).max(1)).max(u32::from(!broken::is(Broken::NoFloor)))
    }
}

impl Pace {
    fn is_quick(&self) -> bool {
        self.takes_us < QUICK_US
    }

    /// How many may be out. Quick work that has just begun is taken to go on as it does, so that its window opens within
    /// a few round trips.
    fn most(&self, now: Timestamp) -> u32 {
        let known = self.now.max(self.before);
        if !self.is_quick() {
            return known;
        }
        if self.before > 0 {
            return known.saturating_mul(QUICK_PACES);
        }
        let since_ms = now.ms_since(self.since).max(PACE_MS / 10);
        let in_a_slice = u32::try_from(u64::from(self.now) * PACE_MS / since_ms).unwrap_or(u32::MAX);
        in_a_slice.saturating_mul(QUICK_PACES).max(known)
    }

    fn turn(&mut self, now: Timestamp) {
        let slice = u64::try_from(now.0).unwrap_or(0) / PACE_MS;
        if slice != self.slice {
            self.before = if slice == self.slice + 1 { self.now } else { 0 };
            (self.slice, self.now) = (slice, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::wire::{ProjectId, SubtaskId};

    #[test]
    fn the_window_follows_the_pace_and_forgets_it() {
        let (window, mut share) = (Window::default(), Share::default());
        let start = Timestamp(1_000_000);
        assert_eq!(share.of(&window, "noop", start), WINDOW_MIN);
        (0..700).for_each(|_| share.completed("noop", 5, start));
        assert_eq!(share.of(&window, "noop", start.plus_ms(PACE_MS / 2)), 700);
        assert_eq!(share.of(&window, "noop", start.plus_ms(PACE_MS * 3 / 2)), 700);
        assert_eq!(share.of(&window, "noop", start.plus_ms(PACE_MS * 5 / 2)), WINDOW_MIN);
        (0..9_000).for_each(|_| share.completed("noop", 0, start.plus_ms(300)));
        assert_eq!(share.of(&window, "noop", start.plus_ms(300)), WINDOW_MAX);
    }

    #[test]
    fn the_window_of_quick_work_opens_as_if_it_went_on_like_that() {
        let window = Window::default();
        let start = Timestamp(1_000_000);
        let of = |took_ms: u64, at: u64| {
            let mut share = Share::default();
            (0..32).for_each(|_| share.completed("noop", took_ms, start));
            share.of(&window, "noop", start.plus_ms(at))
        };
        // In 1, 10, 25 and 49 ms, and in the slice after.
        assert_eq!([1, 10, 25, 49, 60].map(|at| of(0, at)), [640, 320, 128, 64, 64]);
        assert_eq!([1, 10, 25, 49, 60].map(|at| of(2, at)), [32; 5]);
    }

    #[test]
    fn quick_work_that_comes_in_lumps_has_not_just_begun_with_each() {
        let (window, mut share) = (Window::default(), Share::default());
        let mut at = Timestamp(1_000_000);
        // Five in ten milliseconds, heard of every 120.
        let mut open = Vec::new();
        for _ in 0..5 {
            (0..60).for_each(|_| share.completed("noop", 0, at));
            open.push(share.of(&window, "noop", at));
            at = at.plus_ms(120);
        }
        assert_eq!(open, [1_200, 60, 60, 60, 60]);
        (0..60).for_each(|_| share.completed("noop", 0, at.plus_ms(QUIET_MS)));
        assert_eq!(share.of(&window, "noop", at.plus_ms(QUIET_MS)), 1_200);
    }

    /// An executor says at these moments that it runs commands 1 to 3; the phase looks at them after each.
    #[test]
    fn a_stray_is_told_once_a_sighting_and_never_of_the_one_that_it_ended_after() {
        let project = ProjectId(Uuid::from_u128(7));
        let stream = StreamId::Phase(project, 1);
        let id = |command: u128| MessageId(Uuid::from_u128(command));
        let window = Window::default();
        for (at, runs, current, told) in [
            (10, &[1, 2, 3][..], &[1, 2, 3][..], &[][..]),
            // Two end after the heartbeat that lists them.
            (10, &[1, 2, 3], &[1], &[]),
            (10, &[1, 2, 3], &[1], &[]),
            // One of them is listed by the next all the same.
            (20, &[1, 2], &[1], &[2]),
            (20, &[1, 2], &[1], &[]),
            (30, &[1, 2], &[], &[2]),
            (40, &[1, 2], &[], &[1, 2]),
            (50, &[], &[], &[]),
        ] {
            let of = |command| RunningCommand {
                command: id(command),
                project_id: project,
                subtask_id: SubtaskId { phase: 1, ordinal: 1 },
                progress: None,
            };
            let executor = executor(Timestamp(at), runs.iter().copied().map(of).collect());
            window.set(std::slice::from_ref(&executor), Timestamp(0), Timestamp(0));
            let other = window.strays(StreamId::Phase(project, 2), |_| false);
            let found = window.strays(stream, |of| current.iter().any(|command| id(*command) == of.command));
            let told: Vec<MessageId> = told.iter().copied().map(id).collect();
            let expected = if told.is_empty() { None } else { Some((executor.agent_id, told)) };
            assert_eq!((found.into_iter().collect::<Vec<_>>(), other.len()), (Vec::from_iter(expected), 0), "at {at}");
        }
    }

    fn executor(last_seen: Timestamp, commands: Vec<RunningCommand>) -> Presence {
        let presence = serde_json::json!({
            "agent_id": "e", "name": "e", "layer": "execution", "status": "IDLE", "version": "1", "host": "h", "pid": 1,
            "slots": 4, "busy": 0, "last_seen": "2026-01-01T00:00:00.000Z",
        });
        let presence: Presence = serde_json::from_value(presence).expect("a presence");
        Presence { last_seen, commands, ..presence }
    }
}
