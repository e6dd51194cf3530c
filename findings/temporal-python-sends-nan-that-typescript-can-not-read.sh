#!/usr/bin/env bash
# Guess: a NaN in a result is refused by a Temporal SDK, or is null, as in JavaScript.
# Seen:  temporalio 1.35.0 (Python) writes the letters NaN under the encoding `json/plain`, which is not JSON.
#        @temporalio/common 1.24.0 (TypeScript) fails to decode it. The other way round NaN is written as null: a
#        number becomes nothing without a word.
# Matters: means over no rows are NaN in Python. The failure shows in the process that reads it, not in the one that made it.
source "$(dirname "$0")/common"
python_with temporalio==1.35.0
node_with @temporalio/common@1.24.0

cat >"$folder/run.py" <<'PY'
import asyncio
import math
from temporalio.converter import default


async def main():
    payload = (await default().encode([{"mean": math.nan}]))[0]
    print(payload.metadata["encoding"].decode(), payload.data.decode())


asyncio.run(main())
PY
cat >"$folder/run.js" <<'JS'
const { defaultPayloadConverter } = require('@temporalio/common');
const [encoding, data] = process.argv[2].split(/ (.*)/);
const bytes = (text) => new TextEncoder().encode(text);
try {
    console.log('node reads', defaultPayloadConverter.fromPayload({ metadata: { encoding: bytes(encoding) }, data: bytes(data) }));
} catch (error) {
    console.log('node fails:', error.name);
}
console.log('node writes', Buffer.from(defaultPayloadConverter.toPayload({ mean: NaN }).data).toString());
JS
expect 'json/plain {"mean":NaN}
node fails: SyntaxError
node writes {"mean":null}' "$(cd "$folder" && written=$(python/bin/python run.py) && echo "$written" && node run.js "$written")"
