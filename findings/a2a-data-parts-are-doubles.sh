#!/usr/bin/env bash
# Guess: JSON in a `data` part of an A2A message arrives as the agent wrote it: the protocol has a JSON binding.
# Seen:  a2a-sdk 1.3.0 (protobuf 7.36.2) carries it as google.protobuf.Value, whose only number is a double: 7 arrives
#        as 7.0 (which a reader that wants an integer refuses), 2^53 + 1 as 2^53, a 20-digit number rounded, 1.10 as 1.1;
#        1e400 is taken as infinity and is an error only when the part is written out.
#        The order of keys changes from run to run (a map of protobuf).
# Matters: identifiers and amounts that agents hand each other change on the way although both ends speak JSON. Send them as
#        texts.
source "$(dirname "$0")/common"
python_with a2a-sdk==1.3.0 protobuf==7.36.2

cat >"$folder/run.py" <<'PY'
from a2a.types import Part
from google.protobuf import json_format

for text in ("7", "9007199254740993", "12345678901234567890", "1.10", "1e400", '{"rows": [1]}'):
    try:
        part = json_format.Parse('{"data": %s}' % text, Part())
        print(text, "->", json_format.MessageToJson(part, indent=None))
    except Exception as error:
        print(text, "->", type(error).__name__)
PY
expect '7 -> {"data": 7.0}
9007199254740993 -> {"data": 9007199254740992.0}
12345678901234567890 -> {"data": 1.2345678901234567e+19}
1.10 -> {"data": 1.1}
1e400 -> SerializeToJsonError
{"rows": [1]} -> {"data": {"rows": [1.0]}}' "$("$folder/python/bin/python" "$folder/run.py" 2>&1)"
