//! What a subtask costs when it is done the naive way: a command and a result, one message each, persistent,
//! mandatory and confirmed, each delivery acked; two processes with two connections each. It is the measure that
//! every figure of `trireme bench` is a ratio of, so it is to be as fast as it can be without batching.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, Consumer};

/// Commands on their way and results not yet taken, together.
const OUTSTANDING: usize = 1_000;
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
}

/// One process's end: what it publishes on, and what it consumes from, a connection each.
struct End {
    publish: Channel,
    consume: Channel,
    deliveries: Consumer,
    _connections: (Connection, Connection),
}

impl End {
    async fn open(url: &str, consumes: &str) -> lapin::Result<Self> {
        let connect = || Connection::connect(url, ConnectionProperties::default());
        let connections = (connect().await?, connect().await?);
        let publish = connections.0.create_channel().await?;
        publish.confirm_select(ConfirmSelectOptions::default()).await?;
        let consume = connections.1.create_channel().await?;
        consume.basic_qos(u16::try_from(OUTSTANDING).unwrap_or(u16::MAX), BasicQosOptions::default()).await?;
        let options = BasicConsumeOptions::default();
        let deliveries = consume.basic_consume(consumes.into(), "".into(), options, FieldTable::default()).await?;
        Ok(Self { publish, consume, deliveries, _connections: connections })
    }

    /// Publishes one message; what is awaited afterwards is its confirm.
    async fn send(
        &self,
        to: &str,
        body: &[u8],
    ) -> lapin::Result<impl Future<Output = lapin::Result<Confirmation>> + use<>> {
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let properties = BasicProperties::default().with_delivery_mode(2);
        self.publish.basic_publish("".into(), to.into(), options, body, properties).await
    }

    async fn ack(&self, tag: u64) -> lapin::Result<()> {
        self.consume.basic_ack(tag, BasicAckOptions::default()).await
    }
}

/// The end that asks: keeps [`OUTSTANDING`] commands on their way until `count` results are there. Gives the
/// seconds that it took.
pub async fn ask(naive: &Naive) -> Result<f64, String> {
    let end = End::open(&naive.url, &naive.results).await.map_err(|error| error.to_string())?;
    let began = Instant::now();
    tokio::time::timeout(TIMEOUT, asked(naive, end)).await.map_err(|_| "timed out".to_owned())??;
    Ok(began.elapsed().as_secs_f64())
}

async fn asked(naive: &Naive, mut end: End) -> Result<(), String> {
    let body = vec![b'x'; naive.command_bytes];
    let mut confirms = FuturesUnordered::new();
    let (mut sent, mut done) = (0, 0);
    while done < naive.count || !confirms.is_empty() {
        while sent < naive.count && sent - done < OUTSTANDING {
            confirms.push(end.send(&naive.commands, &body).await.map_err(|error| error.to_string())?);
            sent += 1;
        }
        tokio::select! {
            Some(confirmed) = confirms.next() => check(confirmed)?,
            Some(delivery) = end.deliveries.next() => {
                end.ack(delivery.map_err(|error| error.to_string())?.delivery_tag).await.map_err(|error| error.to_string())?;
                done += 1;
            }
            else => return Err("the broker hung up".into()),
        }
    }
    Ok(())
}

/// The end that answers: a command is acked when its result is confirmed.
pub async fn answer(naive: &Naive) -> Result<(), String> {
    let mut end = End::open(&naive.url, &naive.commands).await.map_err(|error| error.to_string())?;
    let body = vec![b'x'; naive.result_bytes];
    let mut confirms = FuturesUnordered::new();
    let mut acked = 0;
    while acked < naive.count {
        tokio::select! {
            Some((confirmed, tag)) = confirms.next() => {
                check(confirmed)?;
                end.ack(tag).await.map_err(|error| error.to_string())?;
                acked += 1;
            }
            Some(delivery) = end.deliveries.next() => {
                let tag = delivery.map_err(|error| error.to_string())?.delivery_tag;
                let confirm = end.send(&naive.results, &body).await.map_err(|error| error.to_string())?;
                confirms.push(async move { (confirm.await, tag) });
            }
            else => return Err("the broker hung up".into()),
        }
    }
    // The last acks are on their way: closing waits for them.
    end.consume.close(200, "done".into()).await.map_err(|error| error.to_string())
}

fn check(confirmed: lapin::Result<Confirmation>) -> Result<(), String> {
    match confirmed {
        Ok(Confirmation::Ack(None)) => Ok(()),
        other => Err(format!("not confirmed: {other:?}")),
    }
}
