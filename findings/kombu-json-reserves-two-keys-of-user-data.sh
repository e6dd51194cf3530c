#!/usr/bin/env bash
# Guess: a dictionary that a user sends through Celery as JSON arrives as it was, whatever its keys are.
# Seen:  kombu 5.7.0 (the serializer of Celery 5.7.0) writes dates, UUIDs, decimals and bytes as objects with the keys
#        `__type__` and `__value__`, and reads any object with both keys that way. A user's own object of that shape is
#        written without a word and becomes an error at the worker, or another value: {"__type__": "date", "__value__":
#        "2026-11-01"} arrives as a date. Only the receiver sees it; the message can not be read by anybody.
# Matters: a reference or a tag inside user data must not be told apart by a magic key. Trireme's references to large
#        results stand beside the value, in a field of their own.
source "$(dirname "$0")/common"
python_with kombu==5.7.0

cat >"$folder/run.py" <<'PY'
from kombu.utils.json import dumps, loads

for value in ({"__type__": "date", "__value__": "2026-11-01"}, {"__type__": "Invoice", "__value__": 3}):
    text = dumps(value)
    try:
        print(text, "->", repr(loads(text)))
    except Exception as error:
        print(text, "->", type(error).__name__)
PY
expect '{"__type__": "date", "__value__": "2026-11-01"} -> datetime.date(2026, 11, 1)
{"__type__": "Invoice", "__value__": 3} -> ValueError' "$("$folder/python/bin/python" "$folder/run.py")"
