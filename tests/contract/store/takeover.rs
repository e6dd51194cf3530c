//! What it takes to load a large phase from a store: a coordinator that takes it over does nothing else before it goes
//! on with it.

use std::time::{Duration, Instant};

use trireme::domain::expand::{SkillDefaults, Spec, expand};
use trireme::domain::phase::{Event, Opened, Phase, SNAPSHOT_FORMAT};
use trireme::runtime::port::{Append, Snapshot};
use trireme::wire::{GoalPlan, MessageId, ProjectId, Raw, StreamId, SubtaskPlan, Timestamp};
use uuid::Uuid;

use super::{Bed, append, load};

const SUBTASKS: u32 = 100_000;
const COPIES: u32 = 100;
const IN_FLIGHT: u32 = 500;
/// What a takeover may take.
const WITHIN: Duration = Duration::from_secs(2);

const AT: Timestamp = Timestamp(1_800_000_000_000);
const PROJECT: ProjectId = ProjectId(Uuid::from_u128(1));

fn cause(number: u32) -> MessageId {
    MessageId(Uuid::from_u128(u128::from(number) + 1))
}

fn specs() -> Vec<Spec> {
    let work = |at: u32| SubtaskPlan { repeat: Some(COPIES), ..SubtaskPlan::new(format!("work-{at}"), "noop") };
    let subtasks = (0..SUBTASKS / COPIES).map(work).collect();
    let goal = GoalPlan {
        goal_name: "many".into(),
        priority: 1,
        description: String::new(),
        input: None,
        subtasks: Some(subtasks),
    };
    expand(&[goal], &|_| Ok(SkillDefaults::new(60_000, 3))).expect("a plan")
}

fn opening() -> Vec<Event> {
    let opened = Opened {
        at: AT,
        cause: cause(0),
        project_id: PROJECT,
        project_name: "many".into(),
        project_version: 2,
        run: 1,
        phase: 1,
        priority: 1,
        partition: 0,
        goals: vec!["many".into()],
        parameters: Raw::default(),
        policy: Raw::default(),
        id_namespace: Uuid::from_u128(3),
        playbook: None,
        former: None,
    };
    let specs = specs();
    let added = specs.chunks(1_000).map(|specs| Event::SubtasksAdded { specs: specs.to_vec() });
    [Event::Opened(opened)].into_iter().chain(added).chain([Event::Planned {}]).collect()
}

/// The oldest one lands, and the next takes off.
fn turn(ordinal: u32) -> Vec<Event> {
    let landed = ordinal.checked_sub(IN_FLIGHT).map(|ordinal| Event::Completed {
        at: AT,
        ordinal,
        attempt: 1,
        agent: "executor-0123456789ab".into(),
        started_at: AT,
        finished_at: AT,
        bytes: 2,
        usage: None,
    });
    let dispatched = Event::Dispatched {
        at: AT,
        cause: cause(ordinal),
        not_after: AT.plus_ms(300_000),
        commands: vec![(ordinal, 1)],
        answer_within_ms: None,
    };
    landed.into_iter().chain([dispatched]).collect()
}

/// A snapshot is made when the events since the last one outweigh it, and are as many bytes as this.
const BYTES_MIN: usize = 1024 * 1024;

/// The longest way is the one right before a snapshot.
pub async fn a_large_phase_is_loaded_at_once(bed: &dyn Bed) {
    let (stream, store) = (StreamId::Phase(PROJECT, 1), bed.open().await);
    let mut phase = Phase::default();
    let (mut since, mut snapshot_bytes) = (0, 0);
    let mut waiting: Vec<Event> = opening();
    for ordinal in 0..=SUBTASKS {
        let is_last = ordinal == SUBTASKS || (ordinal > SUBTASKS / 2 && since >= snapshot_bytes.max(BYTES_MIN));
        if ordinal % 250 == 0 || is_last {
            let expected = phase.version();
            waiting.iter().for_each(|event| phase.apply(event));
            let raw: Vec<Raw> = waiting.drain(..).map(|event| Raw::from_serialize(&event).expect("JSON")).collect();
            since += raw.iter().map(Raw::bytes).sum::<usize>();
            let snapshot = (ordinal == SUBTASKS / 2).then(|| {
                let state = serde_json::to_vec(&phase).expect("JSON");
                (since, snapshot_bytes) = (0, state.len());
                Snapshot { version: phase.version(), format: SNAPSHOT_FORMAT, state }
            });
            let part = Append { snapshot, ..append(stream, expected, raw) };
            store.append(vec![part]).await.expect("append");
        }
        if is_last {
            break;
        }
        waiting.extend(turn(ordinal));
    }
    assert!(snapshot_bytes > 0 && since >= BYTES_MIN, "{since} bytes after {snapshot_bytes}: too few to tell");

    let mut times = Vec::new();
    for _ in 0..3 {
        let begun = Instant::now();
        let stored = load(&*store, stream).await;
        let snapshot = stored.snapshot.expect("a snapshot");
        let mut loaded: Phase = serde_json::from_slice(&snapshot.state).expect("a state");
        stored.events.iter().for_each(|raw| loaded.apply(&raw.read().expect("an event")));
        times.push(begun.elapsed());
        assert!(loaded == phase, "another state");
    }
    eprintln!("{since} bytes of events after a snapshot of {snapshot_bytes}: {times:?}");
    // A busy machine disturbs one, and not all of them.
    assert!(times.iter().any(|&time| time < WITHIN), "{times:?}, and not {WITHIN:?}");
}
