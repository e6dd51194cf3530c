#!/usr/bin/env bash
# Guess: the instrumentation of pika makes one producer span for each publish, and the span of a consumed message is current only while the
#        message is handled.
# Seen:  opentelemetry-instrumentation-pika 0.66b1 with pika 1.4.4: a BlockingChannel makes two "send" spans for each publish, one in
#        the other. `for ... in channel.consume()` makes the span of the message current and leaves it so after the loop: a later, unrelated
#        span becomes a child of the last message. With `basic_get` there is no consumer span.
# Matters: counts of messages made from spans are twice as high for publishers as for consumers, and a worker's housekeeping appears in the
#        trace of whichever task came last.
# Needs:   RabbitMQ at RABBITMQ_URL (default amqp://guest:guest@127.0.0.1:5672); the script's queue is exclusive and ends with it.
source "$(dirname "$0")/common"
python_with pika==1.4.4 opentelemetry-instrumentation-pika==0.66b1 opentelemetry-sdk==1.45.1

cat >"$folder/run.py" <<'PY'
import os
import pika
from opentelemetry import trace
from opentelemetry.instrumentation.pika import PikaInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

spans = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(spans))
trace.set_tracer_provider(provider)
tracer = trace.get_tracer("findings")
PikaInstrumentor().instrument()


def show(step):
    for span in spans.get_finished_spans():
        name = span.name.replace(queue, "queue")
        names[span.context.span_id] = name
        print(f"{step}: {span.kind.name} {name}, parent", names.get(span.parent.span_id, "open span") if span.parent else None)
    spans.clear()


names = {}
connection = pika.BlockingConnection(pika.URLParameters(os.environ.get("RABBITMQ_URL", "amqp://guest:guest@127.0.0.1:5672")))
channel = connection.channel()
queue = channel.queue_declare("", exclusive=True).method.queue
with tracer.start_as_current_span("request"):
    channel.basic_publish("", queue, b"first")
    channel.basic_publish("", queue, b"second")
show("publish twice")
while channel.basic_get(queue, auto_ack=True)[0] is None:
    connection.sleep(0.05)
show("basic_get")
print("current before the loop:", trace.get_current_span().get_span_context().is_valid)
for method, properties, body in channel.consume(queue):
    channel.basic_ack(method.delivery_tag)
    break
channel.cancel()
print("current after the loop:", trace.get_current_span().get_span_context().is_valid)
show("consume")
with tracer.start_as_current_span("housekeeping"):
    pass
show("later")
connection.close()
PY
expect 'publish twice: PRODUCER queue send, parent open span
publish twice: PRODUCER queue send, parent open span
publish twice: PRODUCER queue send, parent open span
publish twice: PRODUCER queue send, parent open span
publish twice: INTERNAL request, parent None
current before the loop: False
current after the loop: True
consume: CONSUMER queue receive, parent queue send
later: INTERNAL housekeeping, parent queue receive' "$("$folder/python/bin/python" "$folder/run.py")"
