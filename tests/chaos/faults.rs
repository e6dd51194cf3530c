//! What is done to the servers, and when: in rounds of a minute, each of which restarts both of them twice.

use std::time::Duration;

use crate::database::Database;
use crate::servers::Server;

/// One round of the broker, by the part of it that has passed. Its first kill comes well after its queues were
/// declared: RabbitMQ 3.10 can lose a quorum queue for ever that is younger than a few seconds.
const BROKER: [(f64, Fault); 5] = [
    (0.08, Fault::CloseConnections),
    (0.18, Fault::KillBroker),
    (0.42, Fault::CloseConnections),
    (0.55, Fault::RestartBroker),
    (0.85, Fault::CloseConnections),
];
/// And of the database, at the same time: now and then both are away.
const DATABASE: [(f64, Fault); 4] =
    [(0.10, Fault::KillDatabase), (0.30, Fault::FailOver), (0.55, Fault::RestartDatabase), (0.75, Fault::FailOver)];
const ROUND_LENGTH: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    KillBroker,
    RestartBroker,
    CloseConnections,
    KillDatabase,
    RestartDatabase,
    FailOver,
}

impl Fault {
    /// Those that restart a server.
    pub const OF_BROKER: [Self; 2] = [Self::KillBroker, Self::RestartBroker];
    pub const OF_DATABASE: [Self; 2] = [Self::KillDatabase, Self::RestartDatabase];

    /// What the ledger calls it.
    pub fn word(self) -> &'static str {
        match self {
            Self::KillBroker => "broker killed",
            Self::RestartBroker => "broker stopped",
            Self::CloseConnections => "connections closed",
            Self::KillDatabase => "database killed",
            Self::RestartDatabase => "database stopped",
            Self::FailOver => "database failed over",
        }
    }

    /// Does it, and mends it. Gives what there is to tell: of a failover the time to the next commit, in milliseconds.
    pub async fn strike(self, broker: &Server, database: &Database) -> Result<String, String> {
        let primary = database.primary();
        match self {
            Self::CloseConnections => {
                return broker.ctl(&["close_all_connections", "chaos"]).await.map(|_| String::new());
            }
            Self::FailOver => return database.fail_over().await.map(|ms| ms.to_string()),
            Self::KillBroker => broker.kill().await?,
            Self::RestartBroker => broker.stop().await?,
            Self::KillDatabase => primary.kill().await?,
            Self::RestartDatabase => primary.stop().await?,
        }
        let server = if Self::OF_BROKER.contains(&self) { broker } else { primary };
        server.start().await.map(|_| String::new())
    }
}

/// A list of faults, each with its time from the start, for the broker and for the database.
pub type Schedule = Vec<(Duration, Fault)>;

/// All faults of a run that takes so long.
pub fn schedules(length: Duration) -> [Schedule; 2] {
    let rounds = (length.as_secs_f64() / ROUND_LENGTH.as_secs_f64()).round().max(1.0);
    let round = length.div_f64(rounds);
    let mut all = [Schedule::new(), Schedule::new()];
    let mut start = Duration::ZERO;
    while start + round / 2 < length {
        let at = |(part, fault): (f64, Fault)| (start + round.mul_f64(part), fault);
        all[0].extend(BROKER.map(at));
        all[1].extend(DATABASE.map(at));
        start += round;
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_minute_restarts_both_twice() {
        for minutes in [1, 2, 10] {
            let length = ROUND_LENGTH * u32::try_from(minutes).expect("few");
            let [broker, database] = schedules(length);
            let count = |of: &Schedule, which: [Fault; 2]| of.iter().filter(|(_, fault)| which.contains(fault)).count();
            assert_eq!(count(&broker, Fault::OF_BROKER), 2 * minutes);
            assert!(count(&database, Fault::OF_DATABASE) >= 2 * minutes);
            for all in [broker, database] {
                assert!(all.is_sorted_by_key(|(at, _)| *at) && all.iter().all(|(at, _)| *at < length));
            }
        }
        assert_eq!(schedules(Duration::from_secs(20))[0].len(), BROKER.len());
    }
}
