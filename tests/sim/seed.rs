//! One seed: a team, some projects, a storm, and then calm weather in which everything has to end well.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use trireme::broken::{self, Broken};
use trireme::domain::phase::Phase;
use trireme::runtime::World;
use trireme::runtime::check::{self, Checked};
use trireme::runtime::client::Client;
use trireme::runtime::port::{PayloadKind, Planner, Store};
use trireme::runtime::topology::topology;
use trireme::wire::address::Queue;
use trireme::wire::{Raw, Status, StreamId, SubtaskStatus};

use crate::ending::{Said, endings, is_whole};
use crate::faults::FAULTS;
use crate::log::Log;
use crate::operator::Operator;
use crate::projects::PlannedProject;
use crate::sights::Sight;
use crate::sim::{Breach, Sim};
use crate::store::brief;
use crate::team::{self, Terms};
use crate::watch::Verdict;

/// In calm weather every project ends within this time.
const ENDS_WITHIN: Duration = Duration::from_secs(30 * 60);
/// Then the last alarms come back from the longest tier, copies that were under way arrive, and what is not wanted any
/// more is not told of any more.
const EMPTY_WITHIN: Duration = Duration::from_secs(30 * 60);
/// Everybody leaves within this time when told to: the grace of a drain, and a slow confirm.
const LEAVES_WITHIN: Duration = Duration::from_secs(60);
/// How often the seed looks whether something has ended.
const LOOK: Duration = Duration::from_millis(250);

/// What came of a seed.
pub struct Outcome {
    pub seed: u64,
    pub broken: Option<Breach>,
    pub steps: u64,
    /// All steps as one number.
    pub hash: u64,
    pub fired: [u32; FAULTS.len()],
    pub sights: [u32; Sight::COUNT],
    pub looked: BTreeMap<&'static str, u64>,
    pub virtual_time: Duration,
    pub subtasks: u32,
}

/// Lives one seed, with what ships, or with a rule left out.
pub fn run(seed: u64, without: Option<Broken>, planners: Arc<[Arc<dyn Planner>]>) -> Outcome {
    broken::choose(without);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime of one thread");
    runtime.block_on(live(seed, planners))
}

async fn live(seed: u64, planners: Arc<[Arc<dyn Planner>]>) -> Outcome {
    let began = Instant::now();
    let sim = Sim::new(seed);
    let _guard = tracing::subscriber::set_default(Log(sim.clone()));
    let terms = Arc::new(Terms::draw(&sim, planners));
    let projects = sim.draw(|random| PlannedProject::draw_all(random, sim.is_crowded));
    let admin = terms.calm_world("admin");
    admin.transport.declare(&topology(&terms.topology)).await.expect("an empty broker");
    admin.store.identity(terms.topology.partitions).await.expect("an empty store");
    let team = team::start(&terms);
    let operator = Operator::come(&sim, &terms, &projects).await;

    let ((), seen_through) = tokio::join!(submit(&sim, &terms, &projects), see_through(&sim, &operator, &projects));
    if let Err((rule, detail)) = seen_through {
        sim.fail(rule, detail);
    }
    sim.close();
    let left = async {
        for place in team {
            place.await.expect("a place is kept without panics");
        }
    };
    if !sim.has_failed() && tokio::time::timeout(LEAVES_WITHIN, left).await.is_err() {
        let still: Vec<_> = sim.agents().iter().map(|agent| agent.name.clone()).collect();
        sim.fail("who_is_told_to_stop_leaves", format!("still there: {still:?}"));
    }
    // The agents know the seed and the seed knows them: without this neither would ever go.
    sim.agents().iter().for_each(|agent| sim.leave(agent));
    let (steps, hash) = sim.steps();
    Outcome {
        seed,
        broken: sim.broken(),
        steps,
        hash,
        fired: sim.chaos(|chaos, _| chaos.fired),
        sights: sim.sights(),
        looked: sim.watch().looked.clone(),
        virtual_time: began.elapsed(),
        subtasks: projects.iter().map(|project| project.subtasks).sum(),
    }
}

/// Clients ask for the projects, for some of them twice.
async fn submit(sim: &Sim, terms: &Terms, projects: &[PlannedProject]) {
    let World { transport, clock, .. } = terms.calm_world("client");
    let client = Client::connect(&*transport, clock).await.expect("a broker");
    for project in projects {
        let pause = if sim.is_crowded { 20 } else { 5_000 };
        sleep(sim.draw(|random| random.ms(0, pause))).await;
        let times = sim.draw(|random| random.pick(&[1, 1, 2]));
        for _ in 0..times {
            client.submit(project.id, project.request.clone()).await.expect("a queue with room");
            sim.step(
                "client",
                format!("submits {}: {:?}, {:?}", brief(StreamId::Project(project.id)), project.policy, project.doom),
            );
        }
    }
}

/// The storm, the calm, and the end.
async fn see_through(sim: &Sim, operator: &Operator<'_>, projects: &[PlannedProject]) -> Verdict {
    let all_ended = || {
        let watch = sim.watch();
        let ended = |planned: &PlannedProject| {
            watch.projects.get(&planned.id).is_some_and(|project| project.state.ended().is_some())
        };
        projects.iter().all(ended)
    };
    let storm = async {
        while !sim.chaos(|chaos, _| chaos.is_over()) && !all_ended() && !sim.has_failed() {
            sleep(LOOK).await;
        }
    };
    tokio::join!(storm, operator.speak());
    sim.chaos(|chaos, _| chaos.heal());
    sim.agents().iter().for_each(|agent| agent.heal());
    sim.step("the world", "heals");
    // A word that is still to be heard may open a project again.
    let all_is_said = || !sim.broker.inspect().messages.iter().any(|message| message.queue == Queue::Requests);
    let have_ended = tokio::select! {
        biased;
        have_ended = until(sim, ENDS_WITHIN, || all_ended() && all_is_said()) => have_ended,
        () = operator.set_right() => false,
    };
    let open = if have_ended { String::new() } else { open_streams(sim) };
    sim.watch().rule("every_project_ends", have_ended, || open)?;
    if sim.has_failed() {
        return Ok(());
    }
    for planned in projects {
        ends_well(sim, planned, operator.said(planned.id)).await?;
    }
    audit(sim, projects).await?;
    let is_empty = || sim.broker.inspect().messages.iter().all(|message| is_word_to_listeners(&message.queue));
    let is_empty = until(sim, EMPTY_WITHIN, is_empty).await;
    sim.watch().rule("the_queues_run_empty", is_empty, || {
        let inspection = sim.broker.inspect();
        let left = inspection.messages.iter().filter(|message| !is_word_to_listeners(&message.queue));
        left.map(|message| format!("{message:?}\n")).collect()
    })
}

/// What is stored is as it has to be, by every rule that `trireme check` knows.
async fn audit(sim: &Sim, projects: &[PlannedProject]) -> Verdict {
    for planned in projects {
        let mut checked = Checked::default();
        let is_known = check::project(&*sim.store, planned.id, &mut checked, &|_| {}).await.expect("a store in memory");
        let found = checked.violations;
        sim.watch()
            .rule("the_audit_finds_nothing", is_known && found.is_empty(), || format!("{is_known} {found:?}"))?;
    }
    Ok(())
}

/// Waits until something holds; says whether it does. Also ends when a rule is broken.
async fn until(sim: &Sim, within: Duration, holds: impl Fn() -> bool) -> bool {
    let end = Instant::now() + within;
    while !holds() && !sim.has_failed() && Instant::now() < end {
        sleep(LOOK).await;
    }
    sim.has_failed() || holds()
}

fn is_word_to_listeners(queue: &Queue) -> bool {
    matches!(queue, Queue::Agent(_) | Queue::Watcher(_) | Queue::Dead)
}

fn open_streams(sim: &Sim) -> String {
    let watch = sim.watch();
    let projects = watch.projects.iter().filter(|(_, project)| project.is_open());
    let projects = projects.map(|(&id, project)| format!("{}: {:?}\n", brief(StreamId::Project(id)), project.state));
    let phases = watch.phases.iter().filter(|(_, phase)| phase.is_open());
    let phases = phases.map(|(&id, phase)| format!("{}: {:?}\n", brief(id), phase.state));
    let messages = sim.broker.inspect().messages;
    let messages = messages.iter().filter(|message| !is_word_to_listeners(&message.queue));
    let messages = messages.map(|message| format!("{message:?}\n"));
    projects.chain(phases).chain(messages).collect()
}

/// It ended as its plan, its policy and the words about it say, and every result is there.
async fn ends_well(sim: &Sim, planned: &PlannedProject, said: Said) -> Verdict {
    if check_end(sim, planned, said)? != Status::Completed {
        return Ok(());
    }
    let of_project = StreamId::Phase(planned.id, 0)..=StreamId::Phase(planned.id, u32::MAX);
    let completed: Vec<(StreamId, Results)> =
        sim.watch().phases.range(of_project).map(|(&stream, phase)| (stream, results(&phase.state))).collect();
    for (stream, expected) in completed {
        let ordinals: Vec<u32> = expected.iter().map(|&(ordinal, _, _)| ordinal).collect();
        let stored = sim.store.payloads(stream, PayloadKind::Result, &ordinals).await.expect("a store in memory");
        let stored: Vec<_> = stored.into_iter().map(|found| (found.ordinal, found.attempt, found.data)).collect();
        sim.watch().rule("every_result_is_there", stored == expected, || {
            format!("{} has {stored:?}, and should have {expected:?}", brief(stream))
        })?;
    }
    Ok(())
}

fn check_end(sim: &Sim, planned: &PlannedProject, said: Said) -> Result<Status, (&'static str, String)> {
    let mut watch = sim.watch();
    let stream = StreamId::Project(planned.id);
    let of_project = StreamId::Phase(planned.id, 0)..=StreamId::Phase(planned.id, u32::MAX);
    let gave_up = watch.phases.range(of_project).any(|(_, phase)| phase.gave_up);
    let project = &watch.projects[&planned.id].state;
    let (status, counts) = (project.status(), project.counts());
    let error = project.ended().and_then(|ended| ended.error.clone());
    // What the broker gave up too often fails, however innocent it is.
    let is_excused = gave_up || sim.is_excused(planned.id);
    let endings = endings(planned, said, is_excused);
    watch.rule("it_ends_as_planned", endings.contains(&status), || {
        format!("{} was to end in {endings:?} and ended in {status}: {error:?}; {said:?}", brief(stream))
    })?;
    let all_went_well = counts.completed + planned.after_failures == planned.subtasks;
    let is_completed = all_went_well || !is_whole(planned, said, is_excused);
    let is_whole = counts.total == planned.subtasks && is_completed;
    watch.rule("every_subtask_is_completed", is_whole || status != Status::Completed, || {
        format!("{} has {} subtasks, and these counts: {counts:?}", brief(stream), planned.subtasks)
    })?;
    Ok(status)
}

/// Ordinal, attempt and result of each subtask that was completed here.
type Results = Vec<(u32, u32, Raw)>;

/// The result of a subtask is its own name.
fn results(phase: &Phase) -> Results {
    let result = |ordinal| {
        let subtask = phase.subtask(ordinal).filter(|subtask| subtask.status == SubtaskStatus::Completed)?;
        if phase.kept_from(ordinal).is_some() {
            return None;
        }
        let name = Raw::from_serialize(&phase.spec(ordinal).name_of(ordinal)).expect("a text is JSON");
        Some((ordinal, subtask.attempt, name))
    };
    (0..phase.counts().total).filter_map(result).collect()
}
