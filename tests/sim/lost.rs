//! That nothing is lost: whatever is to happen next has something out that makes it happen, whoever dies now.

use trireme::domain::decision::Effect;
use trireme::domain::project::{Told, Word};
use trireme::wire::{StreamId, SubtaskStatus};

use crate::out::Out;
use crate::phases::FollowedPhase;
use crate::runs::FollowedProject;
use crate::sim::Sim;
use crate::store::brief;
use crate::watch::{Verdict, Watch};

/// Looks at every stream.
pub fn everything_is_out(watch: &mut Watch, sim: &Sim, out: &Out) -> Verdict {
    let phases = std::mem::take(&mut watch.phases);
    let projects = std::mem::take(&mut watch.projects);
    let mut look = || {
        for (&id, project) in projects.iter().filter(|(_, project)| project.is_open()) {
            let stream = StreamId::Project(id);
            stream_is_out(watch, out, stream, project.state.alarms().oldest().map(|alarm| alarm.number))?;
            let Some(current) = project.state.current() else { continue };
            let stream = StreamId::Phase(id, current.number);
            let phase = phases.get(&stream);
            current_phase_is_out(watch, out, project, stream, phase)?;
            words_are_out(watch, out, project, stream, phase)?;
            if let Some(phase) = phase.filter(|phase| phase.is_open()) {
                questions_are_out(watch, out, project, stream, phase)?;
                open_questions_are_asked(watch, out, project, stream, phase)?;
            }
        }
        for (&stream, phase) in phases.iter().filter(|(_, phase)| phase.is_awake()) {
            stream_is_out(watch, out, stream, phase.state.alarms().oldest().map(|alarm| alarm.number))?;
            attempts_are_out(watch, sim, out, stream, phase)?;
        }
        Ok(())
    };
    let verdict = look();
    (watch.phases, watch.projects) = (phases, projects);
    verdict
}

fn stream_is_out(watch: &mut Watch, out: &Out, stream: StreamId, alarm: Option<u64>) -> Verdict {
    watch.rule("something_is_out", out.is_mentioned(stream), || {
        format!("{} is open, and no message is about it", brief(stream))
    })?;
    let is_out = out.is_held(stream) || alarm.is_some_and(|alarm| out.alarm_is_out(stream, alarm));
    watch.rule("its_alarm_is_out", is_out, || format!("{} has lost its alarm {alarm:?}", brief(stream)))
}

fn current_phase_is_out(
    watch: &mut Watch,
    out: &Out,
    project: &FollowedProject,
    stream: StreamId,
    phase: Option<&FollowedPhase>,
) -> Verdict {
    let goes_on = phase.is_some_and(|phase| {
        let alarm = phase.state.alarms().oldest().map(|alarm| alarm.number);
        let waits = phase.report_waits && alarm.is_some_and(|alarm| out.alarm_is_out(stream, alarm));
        phase.is_open() || waits
    });
    let is_out = project.is_refused || goes_on || out.phase_is_handed_over(stream);
    watch.rule("the_current_phase_is_out", is_out, || {
        format!("{}: neither it, nor its start, nor its report", brief(stream))
    })
}

/// What the current phase was told, and has not heard.
fn words_are_out(
    watch: &mut Watch,
    out: &Out,
    project: &FollowedProject,
    stream: StreamId,
    phase: Option<&FollowedPhase>,
) -> Verdict {
    let untold = |told: &Told| !told.is_farewell && told.again_at.is_none();
    for (&number, told) in project.state.told().iter().filter(|(_, told)| untold(told)) {
        if has_heard(phase, &told.word) {
            continue;
        }
        let id = project.state.id_of(told.cause, Effect::Tell { number });
        let is_out = id.is_some_and(|id| out.word_is_out(id)) || out.is_held(StreamId::Project(stream.project()));
        watch.rule("every_word_is_out", is_out, || {
            format!("{} was told {:?}, has not heard it, and it is not under way", brief(stream), told.word)
        })?;
    }
    Ok(())
}

/// Whether nothing is to come of a word any more.
fn has_heard(phase: Option<&FollowedPhase>, word: &Word) -> bool {
    let Some(phase) = phase else { return false };
    let state = &phase.state;
    if state.ended().is_some() || state.is_cancelled() {
        return true;
    }
    match word {
        Word::Cancel { subtask: None, .. } => false,
        Word::Cancel { subtask: Some(subtask), .. } => {
            let subtask = state.subtask(subtask.ordinal);
            // What was cancelled may wait for an answer, or run again after one.
            subtask.is_none_or(|subtask| subtask.status.is_ended() || subtask.status == SubtaskStatus::Waiting)
                || phase.was_cancelled_by_hand
        }
        Word::Pause => state.is_paused(),
        Word::Resume => !state.is_paused(),
        Word::Decide { question, .. } => {
            !state.questions().keys().any(|&ordinal| state.question_id(ordinal) == Some(*question))
        }
        // What comes of it can not be told from what came before.
        Word::Recover => true,
    }
}

/// Every question of an open phase is asked, or about to be asked, or its answer is under way.
fn questions_are_out(
    watch: &mut Watch,
    out: &Out,
    project: &FollowedProject,
    stream: StreamId,
    phase: &FollowedPhase,
) -> Verdict {
    // Once it is cancelled nobody answers any more.
    if project.state.cancel().is_some() {
        return Ok(());
    }
    for &ordinal in phase.state.questions().keys() {
        let question = phase.state.question_id(ordinal);
        let is_known = question.is_some_and(|question| project.knows(question));
        let is_under_way = question.is_some_and(|question| out.question_is_out(question));
        let is_out = is_known || is_under_way || out.is_held(stream) || phase.state.waits_until(ordinal).is_some();
        watch.rule("every_question_is_out", is_out, || {
            format!("{} ordinal {ordinal}: its question {question:?} is lost", brief(stream))
        })?;
    }
    Ok(())
}

/// Every question that waits for an answer is asked by its phase, or a newer one about the same subtask is under way: any
/// other could be answered for ever, and nothing would come of it.
fn open_questions_are_asked(
    watch: &mut Watch,
    out: &Out,
    project: &FollowedProject,
    stream: StreamId,
    phase: &FollowedPhase,
) -> Verdict {
    for (question, open) in project.state.open_questions() {
        let Some(subtask) = open.subtask.as_ref().map(|asked| asked.id) else { continue };
        let asks = phase.state.question_id(subtask.ordinal);
        let is_under_way = asks.is_some_and(|asks| {
            let is_sent = out.question_is_out(asks) && !project.knows(asks);
            is_sent || out.is_held(stream) || phase.state.waits_until(subtask.ordinal).is_some()
        });
        watch.rule("an_open_question_is_asked", asks == Some(question) || is_under_way, || {
            format!("{} waits for an answer to {question:?} about {subtask}, and is asked {asks:?}", brief(stream))
        })?;
    }
    Ok(())
}

fn attempts_are_out(watch: &mut Watch, sim: &Sim, out: &Out, stream: StreamId, phase: &FollowedPhase) -> Verdict {
    for (&ordinal, flight) in phase.state.flights() {
        let command = phase.state.command_id(ordinal);
        // Who leased it has acked it; that he is there no more its alarm finds out.
        let is_out = flight.lease.is_some()
            || out.is_held(stream)
            || command.is_some_and(|command| out.command_is_out(command) || sim.has_vanished(command));
        watch.rule("every_attempt_is_out", is_out, || {
            format!("{} ordinal {ordinal}: neither its command, nor an answer, nor its cause", brief(stream))
        })?;
    }
    Ok(())
}
