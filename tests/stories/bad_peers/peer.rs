//! An executor in as few lines as the description of the wire asks for: it consumes `<ns>.skill.<skill>`, publishes to
//! `<ns>.results` with the command's `reply_to`, awaits the confirm, and acks. No code of ours is in it.

use futures_util::StreamExt;
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions,
    ConfirmSelectOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, Consumer};
use serde_json::{Value, json};
use uuid::Uuid;

use super::crew::{SKILL, within};

pub struct Peer {
    pub name: String,
    namespace: String,
    connection: Connection,
    channel: Channel,
    commands: Consumer,
}

/// A command as it came.
pub struct Command {
    pub envelope: Value,
    pub reply_to: String,
    pub redelivered: bool,
    delivery: Delivery,
}

impl Command {
    pub fn id(&self) -> &str {
        self.envelope["message_id"].as_str().expect("a message has an id")
    }

    /// The name of its subtask.
    pub fn task(&self) -> &str {
        self.envelope["content"]["task_name"].as_str().expect("a command has a name")
    }
}

impl Peer {
    pub async fn connect(url: &str, namespace: &str, name: &str) -> Self {
        let connection = Connection::connect(url, ConnectionProperties::default()).await.expect("a connection");
        let channel = connection.create_channel().await.expect("a channel");
        channel.confirm_select(ConfirmSelectOptions::default()).await.expect("confirms");
        channel.basic_qos(10, BasicQosOptions::default()).await.expect("a prefetch");
        let (queue, options) = (format!("{namespace}.skill.{SKILL}"), BasicConsumeOptions::default());
        let commands = channel.basic_consume(queue.into(), "".into(), options, FieldTable::default());
        let commands = commands.await.expect("a consumer");
        Self { name: name.into(), namespace: namespace.into(), connection, channel, commands }
    }

    /// The next command.
    pub async fn take(&mut self) -> Command {
        let delivery = within("a command", self.commands.next()).await.expect("consuming").expect("a delivery");
        let envelope: Value = serde_json::from_slice(&delivery.data).expect("JSON");
        assert_eq!(envelope["content"]["type"], "ExecuteSubtask");
        let reply_to = delivery.properties.reply_to().as_ref().expect("a way back").to_string();
        Command { envelope, reply_to, redelivered: delivery.redelivered, delivery }
    }

    /// The content of an honest answer.
    pub fn completion(&self, command: &Command, result: Value) -> Value {
        let content = &command.envelope["content"];
        let now = jiff::Timestamp::now().to_string();
        json!({
            "type": "SubtaskCompletion", "subtask_id": content["subtask_id"], "attempt": content["attempt"],
            "in_reply_to": command.id(), "result": result, "started_at": now, "finished_at": now,
        })
    }

    /// The content in an envelope of its own.
    pub fn envelope(&self, command: &Command, content: Value) -> Value {
        json!({
            "message_id": Uuid::now_v7(), "sender_id": self.name, "receiver_id": command.reply_to,
            "message_type": "RESULT", "content": content, "timestamp": jiff::Timestamp::now().to_string(),
            "task_id": command.envelope["task_id"],
        })
    }

    /// Publishes bytes with this key, and waits until the broker has them.
    pub async fn publish(&self, key: &str, body: &[u8]) {
        let (exchange, options) = (format!("{}.results", self.namespace), BasicPublishOptions::default());
        let options = BasicPublishOptions { mandatory: true, ..options };
        let properties = BasicProperties::default().with_delivery_mode(2);
        let sent = self.channel.basic_publish(exchange.into(), key.into(), options, body, properties).await;
        let confirmed = within("a confirm", sent.expect("sent")).await.expect("confirmed");
        assert!(confirmed.is_ack() && confirmed.take_message().is_none(), "the broker took it");
    }

    /// Sends a content where the command wants its answer.
    pub async fn say(&self, command: &Command, content: Value) {
        let envelope = self.envelope(command, content);
        self.publish(&command.reply_to, envelope.to_string().as_bytes()).await;
    }

    /// What an honest executor does at the end.
    pub async fn answer(&self, command: Command, result: Value) {
        self.say(&command, self.completion(&command, result)).await;
        self.ack(command).await;
    }

    pub async fn ack(&self, command: Command) {
        assert!(command.delivery.acker.ack(BasicAckOptions::default()).await.expect("acked"));
    }

    /// It takes no more commands, and keeps those that it has.
    pub async fn take_no_more(&self) {
        let (tag, options) = (self.commands.tag(), BasicCancelOptions::default());
        self.channel.basic_cancel(tag, options).await.expect("cancelled");
    }

    /// Its connection goes, with what it holds.
    pub async fn die(self) {
        self.connection.close(200, "gone".into()).await.expect("closed");
    }
}
