#!/usr/bin/env bash
# Guess: an event with the data 0, false or "" arrives with that data, and bytes arrive as bytes.
# Seen:  cloudevents 10.0.0 (npm) writes these events well in structured mode and reads its own bodies without data: `undefined`. Bytes
#        arrive as a Uint32Array that holds one byte in each number. cloudevents 2.2.0 (PyPI) reads the same bodies well.
# Matters: an event that says "0 left" or "not approved" is for a consumer in Node an event that says nothing; code that hashes or
#        stores the bytes through their buffer takes four times as many.
source "$(dirname "$0")/common"
python_with cloudevents==2.2.0
node_with cloudevents@10.0.0

cat >"$folder/run.mjs" <<'JS'
import { writeFileSync } from 'node:fs';
import cloudevents from 'cloudevents';

const { CloudEvent, HTTP } = cloudevents;
const bodies = [];
const show = (data) => (ArrayBuffer.isView(data) ? `${data.constructor.name} ${data.byteLength} bytes` : JSON.stringify(data));
for (const data of [1, 0, false, '', Buffer.from([1, 2])]) {
  const datacontenttype = Buffer.isBuffer(data) ? 'application/octet-stream' : 'application/json';
  const event = new CloudEvent({ id: '1', source: '/source', type: 'example', datacontenttype, data });
  const structured = HTTP.structured(event);
  bodies.push(structured.body);
  console.log('node', show(data), '->', show(HTTP.toEvent(structured).data));
}
writeFileSync('bodies.json', JSON.stringify(bodies));
JS
cat >"$folder/run.py" <<'PY'
import json
from cloudevents.core.bindings.http import HTTPMessage, from_http_event

for body in json.load(open("bodies.json")):
    event = from_http_event(HTTPMessage({"content-type": "application/cloudevents+json"}, body.encode()))
    print("python", body[body.index('"data') : -1], "->", repr(event.get_data()))
PY
expect "node 1 -> 1
node 0 -> undefined
node false -> undefined
node \"\" -> undefined
node Buffer 2 bytes -> Uint32Array 8 bytes
python \"datacontenttype\":\"application/json\",\"data\":1 -> 1
python \"datacontenttype\":\"application/json\",\"data\":0 -> 0
python \"datacontenttype\":\"application/json\",\"data\":false -> False
python \"datacontenttype\":\"application/json\",\"data\":\"\" -> ''
python \"datacontenttype\":\"application/octet-stream\",\"data_base64\":\"AQI=\" -> b'\\x01\\x02'" "$(cd "$folder" && node run.mjs && python/bin/python run.py)"
