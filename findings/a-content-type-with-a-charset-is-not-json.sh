#!/usr/bin/env bash
# Guess: `application/json; charset=utf-8` as content type of an AMQP message is JSON to consumers that parse JSON by content type.
# Seen:  rascal 21.0.1 compares the whole text: with a charset, or with a capital letter, its consumer gets a Buffer instead of the
#        object. kombu 5.7.0 (Celery) refuses the message with ContentDisallowed. `text/plain; charset=utf-8` is a Buffer too.
# Matters: many HTTP clients and frameworks write this content type, so a gateway that passes HTTP bodies on to a queue breaks
#        consumers that work for all other senders. In RFC 9110 names of types ignore case, and a parameter does not change the type.
# Needs:   RabbitMQ at RABBITMQ_URL (default amqp://guest:guest@127.0.0.1:5672); the script's queue is deleted at the end.
source "$(dirname "$0")/common"
python_with kombu==5.7.0
node_with rascal@21.0.1 amqplib@2.3.1

cat >"$folder/rascal.js" <<'JS'
const { randomUUID } = require('crypto');
const amqplib = require('amqplib');
const { BrokerAsPromised } = require('rascal');

const url = process.env.RABBITMQ_URL || 'amqp://guest:guest@127.0.0.1:5672';
const vhost = decodeURIComponent(new URL(url).pathname.slice(1)) || '/';
const queue = `findings.${randomUUID()}`;
const types = ['application/json', 'application/json; charset=utf-8', 'Application/JSON', 'text/plain', 'text/plain; charset=utf-8'];

(async () => {
  const broker = await BrokerAsPromised.create({
    vhosts: {
      [vhost]: { connection: { url }, queues: { [queue]: { options: { durable: false } } }, subscriptions: { all: { queue } } },
    },
  });
  const connection = await amqplib.connect(url);
  const channel = await connection.createConfirmChannel();
  try {
    const subscription = await broker.subscribe('all');
    const seen = new Promise((resolve, reject) => {
      let left = types.length;
      subscription.on('error', reject).on('message', (message, content, acknowledge) => {
        acknowledge();
        console.log('rascal', message.properties.contentType, '->', Buffer.isBuffer(content) ? 'Buffer' : typeof content);
        left -= 1;
        if (left === 0) resolve();
      });
    });
    for (const contentType of types) channel.sendToQueue(queue, Buffer.from('{"a": 1}'), { contentType });
    await channel.waitForConfirms();
    await seen;
  } finally {
    await broker.shutdown();
    await channel.deleteQueue(queue);
    await connection.close();
  }
})();
JS
cat >"$folder/read.py" <<'PY'
from kombu.message import Message

for content_type in ("application/json", "application/json; charset=utf-8", "Application/JSON"):
    message = Message(b'{"a": 1}', content_type=content_type, content_encoding="utf-8", accept={"application/json"})
    try:
        print("kombu ", content_type, "->", message.decode())
    except Exception as error:
        print("kombu ", content_type, "->", type(error).__name__)
PY
expect "rascal application/json -> object
rascal application/json; charset=utf-8 -> Buffer
rascal Application/JSON -> Buffer
rascal text/plain -> string
rascal text/plain; charset=utf-8 -> Buffer
kombu  application/json -> {'a': 1}
kombu  application/json; charset=utf-8 -> ContentDisallowed
kombu  Application/JSON -> ContentDisallowed" "$(cd "$folder" && timeout 60 node rascal.js && python/bin/python read.py)"
