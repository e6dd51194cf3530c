#!/usr/bin/env bash
# Guess: amqplib sends a JavaScript Date in a header as an AMQP timestamp, or refuses it, as it does with a BigInt.
# Seen:  amqplib 2.3.1 sends an empty table: a reader in any language gets {} and nobody hears of it. A Map goes the
#        same way. The type for it is an object {'!': 'timestamp', value: SECONDS}. `undefined` is left out.
# Matters: deadlines and dispatch times in headers vanish on the way from a Node worker.
source "$(dirname "$0")/common"
python_with pamqp==4.0.1
node_with amqplib@2.3.1

cat >"$folder/write.js" <<'JS'
const path = require('path');
const codec = require(path.join(__dirname, 'node_modules/amqplib/lib/codec.js'));
const moment = new Date('2026-11-01T12:00:00Z');
const headers = {
    deadline: moment,
    labels: new Map([['team', 'a']]),
    typed: { '!': 'timestamp', value: moment.getTime() / 1000 },
    missing: undefined,
};
const buffer = Buffer.alloc(200);
console.log(buffer.subarray(0, codec.encodeTable(buffer, headers, 0)).toString('hex'));
try {
    codec.encodeTable(buffer, { count: 5n }, 0);
} catch (error) {
    console.error('a BigInt:', error.message);
}
JS
cat >"$folder/read.py" <<'PY'
import sys
import pamqp.decode

for name, value in pamqp.decode.field_table(bytes.fromhex(sys.argv[1]))[1].items():
    print(name, value)
PY
expect "deadline {}
labels {}
typed 2026-11-01 12:00:00+00:00
a BigInt: Unknown type to encode: bigint" "$(cd "$folder" && python/bin/python read.py "$(node write.js 2>refused)"; cat "$folder/refused")"
