#!/usr/bin/env bash
# Guess: a Python float in a header of aio-pika goes out as a double, which it is.
# Seen:  pamqp 4.0.1, the codec of aio-pika 10.2.1 (by aiormq 7.2.4), writes the AMQP type `f`, single precision: 0.1
#        arrives as 0.10000000149011612 and 16777217.0 as 16777216.0, at its own reader too. It reads doubles (`d`) well.
# Matters: a timestamp in seconds as a header is off by up to two minutes (1793534400.0 and 1793534463.0 are one number).
source "$(dirname "$0")/common"
python_with aio-pika==10.2.1 aiormq==7.2.4 pamqp==4.0.1

cat >"$folder/run.py" <<'PY'
import aio_pika
import pamqp.decode
import pamqp.encode

# What aio-pika hands to pamqp, and what comes out of it at the other end.
properties = aio_pika.Message(b"", headers={"share": 0.1, "count": 16777217.0, "at": 1793534463.0}).properties
table = pamqp.encode.field_table(properties.headers)
print(pamqp.decode.field_table(table)[1])
PY
expect "{'at': 1793534464.0, 'count': 16777216.0, 'share': 0.10000000149011612}" "$("$folder/python/bin/python" "$folder/run.py")"
