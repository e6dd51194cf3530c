#!/usr/bin/env bash
# Guess: the CloudEvents SDKs write true in a header as `true`, as the specification says, and JSON data as JSON.
# Seen:  cloudevents 2.2.0 (PyPI) in binary mode writes an extension True as `ce-last: True` in HTTP and RabbitMQ headers. With
#        `application/json` only objects become JSON: False becomes the body `False`, a list `[False]`, a text has no quotation marks.
#        cloudevents 10.0.0 (npm) reads "True" and "False" as texts, which are both true in a condition, and fails on the list.
#        In structured mode all of this is JSON (that Node loses false there is a finding of its own).
# Matters: a filter on a boolean extension (`last = true`) never matches events from Python, a "not approved" is taken for a yes, and a
#        consumer that parses the JSON that the content type promises fails.
source "$(dirname "$0")/common"
python_with cloudevents==2.2.0
node_with cloudevents@10.0.0

cat >"$folder/write.py" <<'PY'
import datetime
import json
from cloudevents.core.bindings import http, rabbitmq
from cloudevents.core.v1.event import CloudEvent

messages = []
for data in (False, "word", [False]):
    attributes = {"id": "1", "source": "/source", "type": "example", "specversion": "1.0", "last": True}
    attributes["time"] = datetime.datetime(2027, 1, 1, tzinfo=datetime.timezone.utc)
    event = CloudEvent({**attributes, "datacontenttype": "application/json"}, data)
    for write in (http.to_binary_event, http.to_structured_event):
        message = write(event)
        messages.append({"headers": message.headers, "body": message.body.decode()})
    print("rabbitmq", repr(data), rabbitmq.to_binary_event(event).headers["ce-last"], rabbitmq.to_binary_event(event).body)
json.dump(messages, open("messages.json", "w"))
PY
cat >"$folder/read.mjs" <<'JS'
import { readFileSync } from 'node:fs';
import cloudevents from 'cloudevents';

for (const message of JSON.parse(readFileSync('messages.json', 'utf8'))) {
  const mode = message.headers['ce-last'] ? `binary, ce-last: ${message.headers['ce-last']}, body: ${message.body}` : 'structured';
  try {
    const event = cloudevents.HTTP.toEvent(message);
    console.log('node', mode, '-> last', JSON.stringify(event.last), 'data', JSON.stringify(event.data));
  } catch (error) {
    console.log('node', mode, '->', error.name, error.message);
  }
}
JS
expect "rabbitmq False True b'False'
rabbitmq 'word' True b'word'
rabbitmq [False] True b'[False]'
node binary, ce-last: True, body: False -> last \"True\" data \"False\"
node structured -> last true data undefined
node binary, ce-last: True, body: word -> last \"True\" data \"word\"
node structured -> last true data \"word\"
node binary, ce-last: True, body: [False] -> SyntaxError Unexpected token 'F', \"[False]\" is not valid JSON
node structured -> last true data [false]" "$(cd "$folder" && python/bin/python write.py && node read.mjs)"
