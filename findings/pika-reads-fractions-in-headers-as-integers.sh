#!/usr/bin/env bash
# Guess: a fraction in a message header arrives at a pika consumer as a float, or pika refuses it, as it does when sending.
# Seen:  pika 1.4.4 reads both float types of the AMQP table (`d` and `f`) as an integer, cut towards zero: a header 0.5
#        of amqplib 2.3.1 arrives as 0, and -1.5 as -1. Nothing says so. Its own encoder refuses floats with an error.
# Matters: weights, costs and rates in headers (sampling rates of traces, priorities) turn into 0 in a Python worker,
#        while amqplib and pamqp (aio-pika) read them well.
source "$(dirname "$0")/common"
python_with pika==1.4.4 pamqp==4.0.1
node_with amqplib@2.3.1

cat >"$folder/write.js" <<'JS'
const path = require('path');
const codec = require(path.join(__dirname, 'node_modules/amqplib/lib/codec.js'));
const buffer = Buffer.alloc(200);
const length = codec.encodeTable(buffer, { half: 0.5, debt: -1.5 }, 0);
console.log(buffer.subarray(0, length).toString('hex'));
JS
cat >"$folder/read.py" <<'PY'
import sys
import pamqp.decode
import pika.data

table = bytes.fromhex(sys.argv[1])
print("pamqp", pamqp.decode.field_table(table)[1])
print("pika ", {name: int(value) if isinstance(value, int) else value for name, value in pika.data.decode_table(table, 0)[0].items()})
try:
    pika.data.encode_table([], {"half": 0.5})
except Exception as error:
    print("pika encodes:", type(error).__name__)
PY
expect "pamqp {'half': 0.5, 'debt': -1.5}
pika  {'half': 0, 'debt': -1}
pika encodes: UnsupportedAMQPFieldException" "$(cd "$folder" && python/bin/python read.py "$(node write.js)")"
