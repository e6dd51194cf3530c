#!/usr/bin/env python3
"""An executor of one's own: performs the skill `Reverse`, which turns the text in a subtask's input around.

    pip install pika
    python3 examples/worker.py NAMESPACE [AMQP_URL]

In the `queues.toml` of managers and coordinators stands:

    [skills.Reverse]
    runner = "external"

A subtask for it: { name = "Turn", skill = "Reverse", input = { text = "abc" } }
"""

import json
import sys
import uuid
from datetime import datetime, timezone

import pika

NAMESPACE = sys.argv[1] if len(sys.argv) > 1 else "trireme"
URL = sys.argv[2] if len(sys.argv) > 2 else "amqp://guest:guest@127.0.0.1:5672/%2f"
NAME = f"reverse-{uuid.uuid4().hex[:8]}"


def now():
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def perform(command):
    """The work: any JSON value is a result. Whatever it raises fails the attempt."""
    return {"text": command["input"]["text"][::-1]}


def answer(command, in_reply_to):
    """The message type and the content of the answer to a command."""
    begun = now()
    same = {"subtask_id": command["subtask_id"], "attempt": command["attempt"], "in_reply_to": in_reply_to}
    try:
        done = {"type": "SubtaskCompletion", "result": perform(command)}
        return "RESULT", {**done, **same, "started_at": begun, "finished_at": now()}
    except Exception as error:
        # `transient` is tried again, `permanent` is not.
        failed = {"type": "SubtaskFailure", "kind": "permanent", "error_message": f"{type(error).__name__}: {error}"}
        return "ERROR", {**failed, **same, "started_at": begun, "finished_at": now()}


def on_command(channel, method, properties, body):
    try:
        command = json.loads(body)
        message_type, content = answer(command["content"], command["message_id"])
    except (ValueError, KeyError, TypeError):
        # It goes to the dead letters, where `trireme dead show` shows it.
        channel.basic_reject(method.delivery_tag, requeue=False)
        return
    envelope = {
        "message_id": str(uuid.uuid4()),
        "sender_id": NAME,
        "receiver_id": properties.reply_to,
        "message_type": message_type,
        "content": content,
        "timestamp": now(),
        "task_id": command["task_id"],
    }
    # Returns when the broker has it, and raises when it does not take it: then the command comes again, to somebody.
    channel.basic_publish(
        exchange=f"{NAMESPACE}.results",
        routing_key=properties.reply_to,
        body=json.dumps(envelope),
        properties=pika.BasicProperties(delivery_mode=2, content_type="application/json"),
        mandatory=True,
    )
    channel.basic_ack(method.delivery_tag)


def main():
    channel = pika.BlockingConnection(pika.URLParameters(URL)).channel()
    channel.confirm_delivery()
    channel.basic_qos(prefetch_count=1)
    channel.basic_consume(f"{NAMESPACE}.skill.Reverse", on_command)
    print(f"{NAME} performs `Reverse`; Ctrl-C ends it", file=sys.stderr)
    channel.start_consuming()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
