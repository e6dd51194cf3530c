//! Any envelope: strategies for every content.

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use trireme::wire::content::*;
use trireme::wire::{
    AgentId, AgentStatus, Content, Counts, Envelope, FailureKind, GoalPlan, MessageId, MessageType, ProjectId, Raw,
    RunAfter, Status, StreamId, SubtaskId, SubtaskPlan, SubtaskStatus, Timestamp,
};
use uuid::Uuid;

/// Any text but a NUL, with what JSON has to escape among it.
fn text() -> impl Strategy<Value = String> {
    vec(prop_oneof![any::<char>(), Just('"'), Just('\\'), Just('{'), Just(']'), Just('\u{1f600}')], 0..12)
        .prop_map(|characters| characters.into_iter().filter(|character| *character != '\0').collect())
}

fn id() -> impl Strategy<Value = Uuid> {
    any::<u128>().prop_map(Uuid::from_u128)
}

fn project() -> impl Strategy<Value = ProjectId> {
    id().prop_map(ProjectId)
}

fn message() -> impl Strategy<Value = MessageId> {
    id().prop_map(MessageId)
}

fn agent() -> impl Strategy<Value = AgentId> {
    vec(proptest::sample::select(b"AZaz09_-".to_vec()), 1..=64)
        .prop_map(|bytes| AgentId::new(String::from_utf8(bytes).expect("ASCII")).expect("a word"))
}

/// Every millisecond that RFC 3339 can write.
fn time() -> impl Strategy<Value = Timestamp> {
    (-62_167_219_200_000i64..=253_402_207_199_999).prop_map(Timestamp)
}

fn subtask_id() -> impl Strategy<Value = SubtaskId> {
    any::<(u32, u32)>().prop_map(|(phase, ordinal)| SubtaskId { phase, ordinal })
}

fn stream() -> impl Strategy<Value = StreamId> {
    (project(), option::of(any::<u32>())).prop_map(|(project, phase)| match phase {
        Some(phase) => StreamId::Phase(project, phase),
        None => StreamId::Project(project),
    })
}

/// JSON of any shape, a few levels deep.
fn raw() -> impl Strategy<Value = Raw> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        text().prop_map(Into::into),
    ];
    let value = leaf.prop_recursive(4, 24, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Into::into),
            vec((text(), inner), 0..4)
                .prop_map(|fields| serde_json::Value::Object(fields.into_iter().collect::<serde_json::Map<_, _>>())),
        ]
    });
    value.prop_map(Raw::from)
}

/// Null is how an absent value is written, so it does not come back as a value.
fn some_raw() -> impl Strategy<Value = Option<Raw>> {
    option::of(raw()).prop_map(|raw| raw.filter(|raw| raw.get() != "null"))
}

fn status() -> impl Strategy<Value = Status> {
    proptest::sample::select(Status::ALL.to_vec())
}

fn counts() -> impl Strategy<Value = Counts> {
    any::<[u32; 9]>().prop_map(|[total, idle, ready, handed_out, waiting, completed, failed, skipped, cancelled]| {
        Counts { total, idle, ready, handed_out, waiting, completed, failed, skipped, cancelled }
    })
}

fn subtask_plan() -> impl Strategy<Value = SubtaskPlan> {
    (
        (text(), text(), text()),
        vec(text(), 0..3),
        some_raw(),
        option::of(any::<u32>()),
        (option::of(any::<u64>()), option::of(any::<u32>())),
        any::<([Option<u64>; 3], Option<u32>)>(),
        (option::of(vec(failure_kind(), 0..3)), run_after()),
    )
        .prop_map(
            |((name, skill, description), dependencies, input, repeat, bounds, waits, (retry_on, run_after))| {
                let ((timeout_ms, max_attempts), ([queue_wait_ms, backoff_ms, backoff_max_ms], backoff_factor)) =
                    (bounds, waits);
                SubtaskPlan {
                    name,
                    skill,
                    description,
                    dependencies,
                    input,
                    repeat,
                    timeout_ms,
                    max_attempts,
                    queue_wait_ms,
                    backoff_ms,
                    backoff_factor,
                    backoff_max_ms,
                    retry_on,
                    run_after,
                }
            },
        )
}

fn goal_plan() -> impl Strategy<Value = GoalPlan> {
    (text(), any::<u32>(), text(), some_raw(), option::of(vec(subtask_plan(), 0..3))).prop_map(
        |(goal_name, priority, description, input, subtasks)| GoalPlan {
            goal_name,
            priority,
            description,
            input,
            subtasks,
        },
    )
}

fn new_project() -> impl Strategy<Value = Content> {
    (
        (text(), text()),
        option::of(vec(goal_plan(), 0..3)),
        (option::of(text()), option::of(text())),
        (raw(), raw()),
        option::of(any::<u64>()),
    )
        .prop_map(|((project_name, description), plan, (planner, playbook), (parameters, policy), deadline_ms)| {
            Content::NewProject(NewProject {
                project_name,
                description,
                plan,
                planner,
                playbook,
                parameters,
                policy,
                deadline_ms,
            })
        })
}

fn start_phase() -> impl Strategy<Value = Content> {
    (
        (project(), text(), any::<u64>(), id(), id()),
        any::<[u32; 4]>(),
        vec(goal_plan(), 0..3),
        (raw(), raw()),
        option::of((text(), text())),
        option::of(any::<(u32, Option<u32>, bool)>()),
    )
        .prop_map(
            |(ids, [run, phase, priority, partition], strategic_goals, (parameters, policy), playbook, former)| {
                let former = former.map(|(phase, redo, failed_only)| Former { phase, redo, failed_only });
                let (project_id, project_name, project_version, store_id, id_namespace) = ids;
                let playbook = playbook.map(|(name, blake3)| PlaybookRef { name, blake3 });
                Content::StartProjectPhase(StartProjectPhase {
                    project_id,
                    project_name,
                    project_version,
                    run,
                    store_id,
                    phase,
                    priority,
                    partition,
                    strategic_goals,
                    parameters,
                    policy,
                    id_namespace,
                    playbook,
                    former,
                    before: former.into_iter().collect(),
                    left_out: former
                        .iter()
                        .map(|former| LeftOut {
                            ordinal: former.phase,
                            said_of: former.phase,
                            said_last: former.phase,
                            reason: None,
                        })
                        .collect(),
                })
            },
        )
}

fn execute() -> impl Strategy<Value = Content> {
    (
        (project(), subtask_id(), time(), any::<u64>()),
        [text(), text(), text(), text(), text()],
        any::<[u32; 3]>(),
        (raw(), raw(), btree_map(text(), subtask_status(), 0..3)),
        (vec(agent(), 0..3), option::of(any::<u64>())),
    )
        .prop_map(|(ids, texts, [phase, attempt, max_attempts], (input, deps, deps_status), (avoid, lease_ms))| {
            let (project_id, subtask_id, not_after, timeout_ms) = ids;
            let [project_name, goal_name, task_name, skill, description] = texts;
            Content::ExecuteSubtask(ExecuteSubtask {
                project_id,
                project_name,
                phase,
                goal_name,
                subtask_id,
                task_name,
                skill,
                description,
                attempt,
                max_attempts,
                input,
                deps,
                deps_status,
                timeout_ms,
                not_after,
                avoid,
                lease_ms,
            })
        })
}

fn run_after() -> impl Strategy<Value = RunAfter> {
    proptest::sample::select(vec![RunAfter::Success, RunAfter::Failure, RunAfter::Always])
}

fn subtask_status() -> impl Strategy<Value = SubtaskStatus> {
    proptest::sample::select(vec![SubtaskStatus::Completed, SubtaskStatus::Error, SubtaskStatus::Skipped])
}

fn failure_kind() -> impl Strategy<Value = FailureKind> {
    proptest::sample::select(vec![
        FailureKind::Transient,
        FailureKind::Permanent,
        FailureKind::Timeout,
        FailureKind::Unsupported,
        FailureKind::Crashed,
        FailureKind::Cancelled,
        FailureKind::Released,
    ])
}

fn answer() -> impl Strategy<Value = Content> {
    let whose = || (subtask_id(), any::<u32>(), message());
    let accepted = (whose(), option::of(any::<u64>())).prop_map(|((subtask_id, attempt, in_reply_to), lease_ms)| {
        Content::SubtaskAccepted(SubtaskAccepted { subtask_id, attempt, in_reply_to, lease_ms })
    });
    let progress = (whose(), progress()).prop_map(|((subtask_id, attempt, in_reply_to), progress)| {
        Content::SubtaskProgress(SubtaskProgress { subtask_id, attempt, in_reply_to, progress })
    });
    let completion = (whose(), raw(), time(), time(), option::of(text()), some_raw()).prop_map(
        |((subtask_id, attempt, in_reply_to), result, started_at, finished_at, log, usage)| {
            Content::SubtaskCompletion(SubtaskCompletion {
                subtask_id,
                attempt,
                in_reply_to,
                result,
                started_at,
                finished_at,
                log,
                usage,
            })
        },
    );
    let failure = (
        whose(),
        failure_kind(),
        text(),
        (option::of(any::<u64>()), any::<bool>()),
        (option::of(time()), option::of(time())),
        option::of(text()),
    )
        .prop_map(|(whose, kind, error_message, (retry_after_ms, avoid), (started_at, finished_at), log)| {
            let (subtask_id, attempt, in_reply_to) = whose;
            Content::SubtaskFailure(SubtaskFailure {
                subtask_id,
                attempt,
                in_reply_to,
                kind,
                error_message,
                retry_after_ms,
                avoid,
                started_at,
                finished_at,
                log,
            })
        });
    prop_oneof![accepted, progress, completion, failure]
}

fn report() -> impl Strategy<Value = Content> {
    let asking = (any::<u64>(), any::<bool>()).prop_map(|(version, after_cancel)| Asking { version, after_cancel });
    let asks = (option::of(subtask_id()), option::of(asking));
    let update = (project(), any::<[u32; 2]>(), status(), counts(), some_raw(), option::of(text()), some_raw(), asks)
        .prop_map(|(project_id, [run, phase], status, counts, outputs, error_message, dossier, (asks, asking))| {
            Content::ProjectStatusUpdate(ProjectStatusUpdate {
                project_id,
                run,
                phase,
                status,
                counts,
                outputs,
                error_message,
                dossier,
                asks,
                asking,
            })
        });
    let completion = (project(), status(), text(), counts(), time(), option::of(time()), option::of(text())).prop_map(
        |(project_id, status, project_name, counts, submitted_at, finished_at, error_message)| {
            let final_report = FinalReport { project_name, counts, submitted_at, finished_at };
            Content::ProjectCompletion(ProjectCompletion { project_id, status, final_report, error_message })
        },
    );
    prop_oneof![update, completion]
}

fn control() -> impl Strategy<Value = Content> {
    let control = (
        project(),
        option::of(stream()),
        option::of(any::<u64>()),
        option::of(subtask_id()),
        option::of(id()),
        (option::of(text()), option::of(text())),
        (vec(message(), 0..3), any::<bool>()),
    )
        .prop_map(|(project_id, stream, project_version, subtask_id, question, texts, (commands, failed_only))| {
            let (answer, reason) = texts;
            Control { project_id, stream, project_version, subtask_id, question, answer, commands, failed_only, reason }
        });
    let of = [Content::Cancel, Content::Pause, Content::Resume, Content::Retry, Content::Recover, Content::Decide];
    (control, 0..of.len()).prop_map(move |(control, at)| of[at](control))
}

fn running() -> impl Strategy<Value = RunningCommand> {
    (message(), project(), subtask_id(), option::of(progress())).prop_map(
        |(command, project_id, subtask_id, progress)| RunningCommand { command, project_id, subtask_id, progress },
    )
}

fn lost() -> impl Strategy<Value = LostQueue> {
    (text(), any::<u32>(), any::<u64>()).prop_map(|(skill, times, ago_ms)| LostQueue { skill, times, ago_ms })
}

fn unable() -> impl Strategy<Value = UnableSkill> {
    (text(), text()).prop_map(|(skill, reason)| UnableSkill { skill, reason })
}

fn progress() -> impl Strategy<Value = Progress> {
    let finite = || any::<i32>().prop_map(|number| f64::from(number) / 8.0);
    (finite(), option::of(finite()), text()).prop_map(|(done, of, note)| Progress { done, of, note })
}

fn presence() -> impl Strategy<Value = Presence> {
    let layers = vec![Layer::Management, Layer::Coordination, Layer::Execution, Layer::Client];
    let statuses =
        vec![AgentStatus::Idle, AgentStatus::Busy, AgentStatus::Waiting, AgentStatus::Error, AgentStatus::Completed];
    let alone = (
        (agent(), text(), text(), text()),
        (proptest::sample::select(layers), proptest::sample::select(statuses)),
        (
            vec(text(), 0..3),
            vec(any::<u32>(), 0..3),
            vec(any::<u32>(), 0..3),
            vec(running(), 0..3),
            vec(unable(), 0..3),
            vec(lost(), 0..3),
        ),
        any::<([u32; 3], u64, bool)>(),
        (time(), option::of(id()), option::of(text()), option::of(any::<i64>())),
    )
        .prop_map(
            |(
                words,
                (layer, status),
                lists,
                ([slots, busy, pid], published, leaving),
                (last_seen, store_id, trouble, clock_ahead_ms),
            )| {
                let (agent_id, name, version, host) = words;
                let (skills, holds, waits_for, commands, unable, queues_lost) = lists;
                Presence {
                    agent_id,
                    name,
                    layer,
                    status,
                    skills,
                    slots,
                    busy,
                    version,
                    host,
                    pid,
                    last_seen,
                    store_id,
                    holds,
                    waits_for,
                    unable,
                    queues_lost,
                    commands,
                    trouble,
                    clock_ahead_ms,
                    published,
                    leaving,
                    peers: Vec::new(),
                }
            },
        );
    alone.prop_recursive(2, 4, 2, |inner| {
        (inner.clone(), vec(inner, 0..3)).prop_map(|(presence, peers)| Presence { peers, ..presence })
    })
}

fn agents() -> impl Strategy<Value = Content> {
    prop_oneof![
        presence().prop_map(Content::Heartbeat),
        presence().prop_map(Content::Pong),
        option::of(any::<u32>()).prop_map(|partition| Content::Ping(Ping { partition })),
        (stream(), any::<u64>(), time(), option::of(id())).prop_map(|(stream, number, not_before, store_id)| {
            Content::Alarm(Alarm { stream, number, not_before, store_id })
        }),
    ]
}

/// Any envelope that can be sent.
pub fn envelope() -> impl Strategy<Value = Envelope> {
    let types = vec![
        MessageType::Request,
        MessageType::Response,
        MessageType::StatusUpdate,
        MessageType::Error,
        MessageType::Command,
        MessageType::Result,
    ];
    let content = prop_oneof![
        2 => new_project(),
        2 => start_phase(),
        2 => execute(),
        8 => answer(),
        4 => report(),
        12 => control(),
        8 => agents(),
    ];
    (message(), text(), text(), proptest::sample::select(types), content, time(), project()).prop_map(
        |(message_id, sender_id, receiver_id, message_type, content, timestamp, task_id)| Envelope {
            message_id,
            sender_id,
            receiver_id,
            message_type,
            content,
            timestamp,
            task_id,
        },
    )
}
