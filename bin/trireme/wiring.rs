//! From settings to the world of a process: ports are chosen here, and nowhere else.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use trireme::config::{Declare, Performer, Settings, Skill};
use trireme::domain::BadInput;
use trireme::domain::nearest;
use trireme::planner;
use trireme::runner;
use trireme::runtime::executor::{ExecutorOptions, OfferedSkill};
use trireme::runtime::port::{
    Clock, FOLLOW_EVERY, Planner, SteadyClock, Store, StoreError, StoreIdentity, SystemClock, Transport,
};
use trireme::runtime::topology::{TopologyOptions, topology};
use trireme::runtime::{Ground, SkillOptions, Timing, World};
use trireme::store;
use trireme::transport::rabbit::{RabbitOptions, RabbitTransport};
use trireme::wire::Timestamp;

use crate::failure::{Failure, Status};

/// RabbitMQ, as the settings say where, and whether what is missing is made there.
pub fn rabbit(settings: &Settings, connection_name: &str) -> Result<RabbitTransport, Failure> {
    let transport = administrator(settings, connection_name)?;
    Ok(match settings.broker.declare {
        Declare::Always => transport,
        Declare::Check => transport.that_only_looks(),
    })
}

/// RabbitMQ for who declares the topology in any case.
pub fn administrator(settings: &Settings, connection_name: &str) -> Result<RabbitTransport, Failure> {
    let transport = RabbitTransport::new(RabbitOptions {
        url: settings.broker.url.clone(),
        namespace: settings.broker.namespace.clone(),
        connection_name: connection_name.to_owned(),
    });
    // Nothing was connected yet: what is wrong now is the URL.
    transport.map_err(|error| Failure { status: Status::Usage, ..error.into() })
}

/// The world of an owner on this transport and the store of the settings, with the topology declared.
pub async fn owner(settings: &Settings, transport: Arc<dyn Transport>) -> Result<World, Failure> {
    let store = store::open(&settings.store.url).await?;
    if settings.store.url == store::MEMORY {
        tracing::warn!("`store.url` is `{}`: what this process remembers is gone when it ends", store::MEMORY);
    }
    let identity = store.identity(settings.broker.partitions).await?;
    if identity.partitions != settings.broker.partitions {
        let message = format!(
            "`broker.partitions` is {}, but the projects in the store are dealt into {}",
            settings.broker.partitions, identity.partitions
        );
        let hint = format!("set `broker.partitions = {}`, or use another store", identity.partitions);
        return Err(Failure::usage(message).hint(hint));
    }
    let planners = planner::planners(settings.playbooks.folder.as_deref())?;
    let clock = clock(Some(store.clone())).await?;
    let world = world(settings, planners, transport, store, identity, clock);
    world.transport.declare(&topology(&world.topology)).await?;
    Ok(world)
}

/// What an executor stands on. It opens no store, so it can not know into how many partitions the projects are dealt,
/// and leaves their queues to the owners.
pub async fn executor(settings: &Settings, transport: Arc<dyn Transport>) -> Result<Ground, Failure> {
    let options = Arc::new(TopologyOptions { partitions: 0, ..settings.topology() });
    transport.declare(&topology(&options)).await?;
    Ok(Ground { transport, clock: clock(None).await?, topology: options, timing: timing(settings) })
}

/// The clock of an owner of streams, which follows its store's; an executor's follows this machine's.
pub async fn clock(store: Option<Arc<dyn Store>>) -> Result<Arc<dyn Clock>, Failure> {
    let clock = Arc::new(SteadyClock::at(reference(store.as_deref()).await?));
    let followed = Arc::downgrade(&clock);
    tokio::spawn(async move {
        let mut was_set = false;
        loop {
            tokio::time::sleep(FOLLOW_EVERY).await;
            // A store that does not answer is asked again.
            let now = reference(store.as_deref()).await;
            let Some(clock) = followed.upgrade() else { return };
            let Ok(now) = now else { continue };
            let is_set = clock.follow(now);
            if is_set && !was_set {
                tracing::warn!("a clock was set; it is followed slowly, so that no wait is cut short");
            }
            was_set = is_set;
        }
    });
    Ok(clock)
}

/// The time of a store, half of the way there and back later; without one this machine's.
async fn reference(store: Option<&dyn Store>) -> Result<Timestamp, StoreError> {
    let Some(store) = store else { return Ok(SystemClock.now()) };
    let began = Instant::now();
    let time = store.now().await?;
    Ok(time.plus(began.elapsed() / 2))
}

/// The world of an agent on this transport and store; what the store's projects are dealt into counts.
pub fn world(
    settings: &Settings,
    planners: Vec<Arc<dyn Planner>>,
    transport: Arc<dyn Transport>,
    store: Arc<dyn Store>,
    StoreIdentity { id, partitions }: StoreIdentity,
    clock: Arc<dyn Clock>,
) -> World {
    World {
        transport,
        store,
        store_id: id,
        clock,
        planners: planners.into(),
        skills: Arc::new(skills(settings)),
        topology: Arc::new(TopologyOptions { partitions, ..settings.topology() }),
        timing: timing(settings),
    }
}

fn timing(settings: &Settings) -> Timing {
    Timing {
        heartbeat: settings.agents.heartbeat_interval,
        progress: settings.agents.progress_interval,
        grace: settings.agents.shutdown_timeout,
        start_within: settings.attempts.start_timeout,
        answer_within: settings.attempts.answer_timeout,
        away: settings.agents.coordinator_timeout,
    }
}

fn skills(settings: &Settings) -> BTreeMap<String, SkillOptions> {
    settings.skills.iter().map(|(name, skill)| (name.clone(), options(skill, &settings.skills))).collect()
}

/// What an executor offers: the `wanted` skills, else every configured one that is not external.
pub fn offered(settings: &Settings, wanted: Option<&[String]>) -> Result<ExecutorOptions, Failure> {
    let names: Vec<&String> = match wanted {
        Some(wanted) => wanted.iter().collect(),
        None => settings
            .skills
            .iter()
            .filter(|(_, skill)| skill.performer != Performer::External)
            .map(|(name, _)| name)
            .collect(),
    };
    let mut skills = BTreeMap::new();
    for name in names {
        let skill = settings.skills.get(name).ok_or_else(|| {
            BadInput::new(format!("skill `{name}` is not configured"))
                .or_perhaps(nearest::hint(name, settings.skills.keys().map(String::as_str)))
        })?;
        let runner = match &skill.performer {
            Performer::External => {
                let message = format!("skill `{name}` is external: programs of your own perform it");
                return Err(Failure::usage(message).hint(format!("give `[skills.{name}]` a `runner`")));
            }
            Performer::Runner { kind, options } => runner::build(kind, options.as_ref())
                .map_err(|error| error.bad_input().at(format_args!("`[skills.{name}]`")))?,
        };
        skills.insert(name.clone(), OfferedSkill { options: options(skill, &settings.skills), runner });
    }
    Ok(ExecutorOptions { slots: settings.agents.slots, skills })
}

/// `all` are the settings' skills: a fallback's own terms are found there.
fn options(skill: &Skill, all: &BTreeMap<String, Skill>) -> SkillOptions {
    SkillOptions {
        concurrency: skill.concurrency,
        prefetch: skill.prefetch,
        is_external: skill.performer == Performer::External,
        batch: skill.batch,
        defaults: skill.defaults(all),
    }
}
