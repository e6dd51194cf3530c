#!/usr/bin/env bash
# Guess: a parser for the unfinished JSON of a streaming model gives no value that the whole text does not have: what may still
#        grow is left out. jiter does that with strings.
# Seen:  of `{"amount": 12` (to become 1250) all six parsers give 12 as if it were finished; jiter 0.19.0 too, which leaves out
#        an unfinished string. Of `-` best-effort-json-parser 1.5.1 and jsonrepair 3.15.0 make 0. Of `tru` most make true,
#        jiter nothing, jsonrepair the string "tru". Of an unfinished key jsonrepair makes a key with null.
# Matters: a user interface, or an agent that acts on the arguments of a tool early, sees amounts, ids and counts that the model never
#        wrote; and the server in Python and the page in TypeScript show different ones.
source "$(dirname "$0")/common"
python_with jiter==0.19.0 partial-json-parser==0.2.1.1.post7
node_with partial-json@0.1.7 best-effort-json-parser@1.5.1 jsonrepair@3.15.0 ai@6.0.326

cat >"$folder/texts.json" <<'JSON'
["{\"amount\": 12", "{\"amount\": -", "{\"amount\": 1.", "{\"paid\": tru", "{\"to\": \"bo", "{\"to\": \"bob\", \"am"]
JSON
cat >"$folder/run.py" <<'PY'
import json
import jiter
import partial_json_parser

for text in json.load(open("texts.json")):
    print(text, "| jiter", json.dumps(jiter.from_json(text.encode(), partial_mode=True)), end=" ")
    print("| partial-json-parser", json.dumps(partial_json_parser.loads(text)))
PY
cat >"$folder/run.mjs" <<'JS'
import { readFileSync } from 'node:fs';
import { parsePartialJson } from 'ai';
import { parse as parseBestEffort } from 'best-effort-json-parser';
import { jsonrepair } from 'jsonrepair';
import { parse } from 'partial-json';

const show = (value) => JSON.stringify(value).replaceAll(':', ': ').replaceAll(',', ', ');
for (const text of JSON.parse(readFileSync('texts.json', 'utf8'))) {
  const ai = (await parsePartialJson(text)).value;
  console.log(`${text} | partial-json ${show(parse(text))} | best-effort-json-parser ${show(parseBestEffort(text))} | jsonrepair ${jsonrepair(text)} | ai ${show(ai)}`);
}
JS
expect '{"amount": 12 | jiter {"amount": 12} | partial-json-parser {"amount": 12}
{"amount": - | jiter {} | partial-json-parser {}
{"amount": 1. | jiter {} | partial-json-parser {"amount": 1}
{"paid": tru | jiter {} | partial-json-parser {"paid": true}
{"to": "bo | jiter {} | partial-json-parser {"to": "bo"}
{"to": "bob", "am | jiter {"to": "bob"} | partial-json-parser {"to": "bob"}
{"amount": 12 | partial-json {"amount": 12} | best-effort-json-parser {"amount": 12} | jsonrepair {"amount": 12} | ai {"amount": 12}
{"amount": - | partial-json {} | best-effort-json-parser {"amount": 0} | jsonrepair {"amount": -0} | ai {}
{"amount": 1. | partial-json {} | best-effort-json-parser {"amount": 1} | jsonrepair {"amount": 1.0} | ai {"amount": 1}
{"paid": tru | partial-json {"paid": true} | best-effort-json-parser {"paid": true} | jsonrepair {"paid": "tru"} | ai {"paid": true}
{"to": "bo | partial-json {"to": "bo"} | best-effort-json-parser {"to": "bo"} | jsonrepair {"to": "bo"} | ai {"to": "bo"}
{"to": "bob", "am | partial-json {"to": "bob"} | best-effort-json-parser {"to": "bob"} | jsonrepair {"to": "bob", "am":null} | ai {"to": "bob"}' "$(cd "$folder" && python/bin/python run.py && node run.mjs)"
