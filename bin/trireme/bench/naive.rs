//! What a subtask costs when it is done the naive way: a command and a result, one message each, persistent,
//! mandatory and confirmed, each delivery acked; two processes with two connections each. It is the measure that
//! every figure of `trireme bench` is a ratio of, so it is to be as fast as it can be without batching.

use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, Consumer};
use serde::{Deserialize, Serialize};
use tokio::process::Command;

use super::usage::own_cpu_s;
use crate::failure::Failure;

/// Commands on their way and results not yet taken, together, where throughput is measured; one where a round trip is.
pub const OUTSTANDING: usize = 1_000;
/// Where a run that hangs is given up.
const TIMEOUT: Duration = Duration::from_secs(300);

/// The two queues, and how long the messages are, in bytes: as long as those that they stand for.
#[derive(Debug, Clone, clap::Args)]
pub struct Naive {
    #[arg(long)]
    url: String,
    #[arg(long)]
    commands: String,
    #[arg(long)]
    results: String,
    #[arg(long)]
    command_bytes: usize,
    #[arg(long)]
    result_bytes: usize,
    #[arg(long)]
    count: usize,
    #[arg(long)]
    outstanding: usize,
}

/// What one of the two processes says at its end.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Told {
    /// From the first command to the last result.
    pub seconds: f64,
    /// Seconds of a core in that time.
    pub cpu_s: Option<f64>,
    /// How long each round trip took, in their order, where there was one at a time.
    pub round_trips_ms: Vec<f64>,
}

/// One process's end: what it publishes on, and what it consumes from, a connection each.
struct End {
    publish: Channel,
    consume: Channel,
    deliveries: Consumer,
    _connections: (Connection, Connection),
}

impl End {
    async fn open(url: &str, consumes: &str, outstanding: usize) -> lapin::Result<Self> {
        let connect = || Connection::connect(url, ConnectionProperties::default());
        let connections = (connect().await?, connect().await?);
        let publish = connections.0.create_channel().await?;
        publish.confirm_select(ConfirmSelectOptions::default()).await?;
        let consume = connections.1.create_channel().await?;
        consume.basic_qos(u16::try_from(outstanding).unwrap_or(u16::MAX), BasicQosOptions::default()).await?;
        let options = BasicConsumeOptions::default();
        let deliveries = consume.basic_consume(consumes.into(), "".into(), options, FieldTable::default()).await?;
        Ok(Self { publish, consume, deliveries, _connections: connections })
    }

    /// Publishes one message, with the first poll, and gives its confirm. Nobody waits until it is written.
    async fn send(&self, to: &str, body: &[u8]) -> Result<(), String> {
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let properties = BasicProperties::default().with_delivery_mode(2);
        let sent = self.publish.basic_publish("".into(), to.into(), options, body, properties).await;
        match sent.map_err(|error| error.to_string())?.await {
            Ok(Confirmation::Ack(None)) => Ok(()),
            other => Err(format!("not confirmed: {other:?}")),
        }
    }

    /// Acks one delivery, with the first poll.
    async fn ack(&self, tag: u64) -> Result<(), String> {
        self.consume.basic_ack(tag, BasicAckOptions::default()).await.map_err(|error| error.to_string())
    }
}

/// The end that asks: keeps some commands on their way until `count` results are there.
pub async fn ask(naive: &Naive) -> Result<Told, String> {
    let end = End::open(&naive.url, &naive.results, naive.outstanding).await.map_err(|error| error.to_string())?;
    timed(asked(naive, end)).await
}

/// The end that answers: a command is acked when its result is confirmed.
pub async fn answer(naive: &Naive) -> Result<Told, String> {
    let end = End::open(&naive.url, &naive.commands, naive.outstanding).await.map_err(|error| error.to_string())?;
    timed(answered(naive, end)).await
}

async fn timed(work: impl Future<Output = Result<Vec<f64>, String>>) -> Result<Told, String> {
    let (began, cpu_before) = (Instant::now(), own_cpu_s());
    let round_trips_ms = tokio::time::timeout(TIMEOUT, work).await.map_err(|_| "timed out".to_owned())??;
    let cpu_s = own_cpu_s().zip(cpu_before).map(|(now, before)| now - before);
    Ok(Told { seconds: began.elapsed().as_secs_f64(), cpu_s, round_trips_ms })
}

async fn asked(naive: &Naive, end: End) -> Result<Vec<f64>, String> {
    let body = vec![b'x'; naive.command_bytes];
    let mut deliveries = end.deliveries.clone();
    let (mut confirms, mut acks) = (FuturesUnordered::new(), FuturesUnordered::new());
    let (mut sent, mut done) = (0, 0);
    let mut round_trips_ms = Vec::new();
    let mut last_sent = Instant::now();
    while done < naive.count || !confirms.is_empty() || !acks.is_empty() {
        while sent < naive.count && sent - done < naive.outstanding {
            last_sent = Instant::now();
            confirms.push(end.send(&naive.commands, &body));
            sent += 1;
        }
        tokio::select! {
            Some(confirmed) = confirms.next() => confirmed?,
            Some(acked) = acks.next() => acked?,
            Some(delivery) = deliveries.next() => {
                acks.push(end.ack(delivery.map_err(|error| error.to_string())?.delivery_tag));
                done += 1;
                if naive.outstanding == 1 {
                    round_trips_ms.push(last_sent.elapsed().as_secs_f64() * 1_000.0);
                }
            }
            else => return Err("the broker hung up".into()),
        }
    }
    Ok(round_trips_ms)
}

async fn answered(naive: &Naive, end: End) -> Result<Vec<f64>, String> {
    let body = vec![b'x'; naive.result_bytes];
    let mut deliveries = end.deliveries.clone();
    let mut answers = FuturesUnordered::new();
    let mut acked = 0;
    while acked < naive.count {
        tokio::select! {
            Some(answered) = answers.next() => {
                answered?;
                acked += 1;
            }
            Some(delivery) = deliveries.next() => {
                let tag = delivery.map_err(|error| error.to_string())?.delivery_tag;
                let (end, body) = (&end, &body);
                answers.push(async move {
                    end.send(&naive.results, body).await?;
                    end.ack(tag).await
                });
            }
            else => return Err("the broker hung up".into()),
        }
    }
    // The last acks are on their way: closing waits for them.
    end.consume.close(200, "done".into()).await.map_err(|error| error.to_string())?;
    Ok(Vec::new())
}

/// Both processes, and the queues between them.
pub struct NaiveWay {
    pub url: String,
    pub commands: String,
    pub results: String,
    pub command_bytes: usize,
    pub result_bytes: usize,
}

impl NaiveWay {
    /// Runs them to their end; gives what the asking one measured, with the CPU time of both.
    pub async fn run(&self, count: u32, outstanding: usize) -> Result<Told, Failure> {
        let failed = |error: std::io::Error| Failure::bug(format!("the naive way can not be started: {error}"));
        let program = std::env::current_exe().map_err(failed)?;
        let part = |name: &str| {
            let mut command = Command::new(&program);
            command.args(["bench", name, "--url", &self.url]);
            command.args(["--commands", &self.commands, "--results", &self.results]);
            command.args(["--command-bytes", &self.command_bytes.to_string()]);
            command.args(["--result-bytes", &self.result_bytes.to_string()]);
            command.args(["--count", &count.to_string(), "--outstanding", &outstanding.to_string()]);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
            command.spawn().map_err(failed)
        };
        let (answering, asking) = (part("naive-answer")?, part("naive-ask")?);
        let (answered, asked) = tokio::join!(answering.wait_with_output(), asking.wait_with_output());
        let told = |output: std::io::Result<Output>| {
            let output = output.map_err(failed)?;
            let said = || Failure::bug(format!("the naive way failed: {}", String::from_utf8_lossy(&output.stderr)));
            serde_json::from_slice::<Told>(&output.stdout).map_err(|_| said())
        };
        let (answered, asked) = (told(answered)?, told(asked)?);
        let cpu_s = answered.cpu_s.zip(asked.cpu_s).map(|(one, other)| one + other);
        Ok(Told { cpu_s, ..asked })
    }
}
