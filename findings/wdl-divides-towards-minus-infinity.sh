#!/usr/bin/env bash
# Guess: WDL's Int is a signed 64-bit number, as its specification says, and divides like one: -7 / 2 is -3.
# Seen:  miniwdl 1.16.0 computes as Python: -7 / 2 is -4 and -7 % 3 is 2; 2^63 - 1 + 1 is 2^63, and the literal 2^63 is taken.
#        A Float in a text has six digits behind the point, so a price of 0.0000004 a token becomes 0.000000.
# Matters: shards that are counted with / and % differ between engines of one language, and small rates vanish from command
#        lines.
source "$(dirname "$0")/common"
python_with miniwdl==1.16.0

cat >"$folder/run.py" <<'PY'
import WDL

library = WDL.StdLib.Base("1.1")
nothing = WDL.Env.Bindings()
for text in ("-7 / 2", "-7 % 3", "9223372036854775807 + 1", "9223372036854775808", '"~{0.0000004}"', '"~{0.1 + 0.2}"'):
    expression = WDL.parse_expr(text)
    expression.infer_type(nothing, library)
    print(text, "=", expression.eval(nothing, library).json)
PY
expect '-7 / 2 = -4
-7 % 3 = 2
9223372036854775807 + 1 = 9223372036854775808
9223372036854775808 = 9223372036854775808
"~{0.0000004}" = 0.000000
"~{0.1 + 0.2}" = 0.300000' "$("$folder/python/bin/python" "$folder/run.py" 2>&1)"
