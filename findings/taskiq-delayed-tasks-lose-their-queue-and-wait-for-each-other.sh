#!/usr/bin/env bash
# Guess: a task with a delay goes, when the delay is over, to the queue that its label names, and a delay of 1 s takes about 1 s.
# Seen:  taskiq-aio-pika 0.6.1 with a `delay_queue`: the queue passes everything on to the first task queue, so a task for
#        `slow` runs in `fast`; without a delay it runs in `slow`. The delay is a per-message TTL, and RabbitMQ expires
#        messages at the head only: 1 s behind a task of 5 s takes 5 s.
# Matters: tasks for a GPU or for a tenant of its own run on other workers as soon as they have a delay; one task delayed by
#        an hour holds up all short ones behind it for an hour.
# Needs:   RabbitMQ at RABBITMQ_URL (default amqp://guest:guest@127.0.0.1:5672); the script deletes what it declares.
source "$(dirname "$0")/common"
python_with taskiq-aio-pika==0.6.1 taskiq==0.13.0 aio-pika==10.2.1

cat >"$folder/run.py" <<'PY'
import asyncio
import json
import os
import time
import uuid
import aio_pika
from taskiq_aio_pika import AioPikaBroker, Exchange, Queue, QueueType

url = os.environ.get("RABBITMQ_URL", "amqp://guest:guest@127.0.0.1:5672")
prefix = f"findings.{uuid.uuid4().hex}"
fast, slow, delayed, dead = (Queue(name=f"{prefix}.{name}", type=QueueType.CLASSIC) for name in ("fast", "slow", "delayed", "dead"))


async def main():
    broker = AioPikaBroker(
        url, exchange=Exchange(name=prefix), task_queues=[fast, slow], delay_queue=delayed, dead_letter_queue=dead
    )

    @broker.task(task_name="run")
    async def run(name):
        pass

    await broker.startup()
    connection = await aio_pika.connect(url)
    channel = await connection.channel()
    start, arrived, everything = time.monotonic(), [], asyncio.Event()

    def watch(queue):
        async def take(message):
            late = "after 4 s or more" if time.monotonic() - start >= 4 else "before 4 s"
            arrived.append(f"{json.loads(message.body)['args'][0]}: in {queue.name.rpartition('.')[2]} {late}")
            if len(arrived) == 3:
                everything.set()

        return take

    try:
        for queue in (fast, slow):
            await (await channel.get_queue(queue.name)).consume(watch(queue), no_ack=True)
        to_slow = run.kicker().with_labels(queue_name=slow.name)
        await to_slow.kiq("no delay")
        await run.kicker().with_labels(queue_name=slow.name, delay=5).kiq("delay 5 s")
        await run.kicker().with_labels(queue_name=slow.name, delay=1).kiq("delay 1 s")
        await asyncio.wait_for(everything.wait(), 60)
        print("\n".join(arrived))
    finally:
        for queue in (fast, slow, delayed, dead):
            await channel.queue_delete(queue.name)
        await channel.exchange_delete(prefix)
        await connection.close()
        await broker.shutdown()


asyncio.run(main())
PY
expect "no delay: in slow before 4 s
delay 5 s: in fast after 4 s or more
delay 1 s: in fast after 4 s or more" "$("$folder/python/bin/python" "$folder/run.py" 2>/dev/null)"
