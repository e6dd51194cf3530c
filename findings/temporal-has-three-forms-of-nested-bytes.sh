#!/usr/bin/env bash
# Guess: bytes in a Temporal payload have one form, so that a Python workflow and a TypeScript activity understand each
#        other: bytes alone are `binary/plain` in both SDKs.
# Seen:  inside an object each SDK has its own, all under the encoding `json/plain`: temporalio 1.35.0 (Python) writes a
#        list of numbers, @temporalio/common 1.24.0 (TypeScript) an object with an index per byte for a Uint8Array and
#        {"type": "Buffer", "data": [...]} for a Buffer. Neither side makes bytes of what the other wrote. In Python even a
#        bytearray at the top, which is bytes too, becomes a list.
# Matters: a file in a field of a result works within one language and is garbage in the next. Trireme's results carry
#        files as base64 with a media type, in every language.
source "$(dirname "$0")/common"
python_with temporalio==1.35.0
node_with @temporalio/common@1.24.0

cat >"$folder/run.py" <<'PY'
import asyncio
from temporalio.converter import default


async def main():
    for value in (b"\x01\xff", bytearray(b"\x01\xff"), {"file": b"\x01\xff"}):
        payload = (await default().encode([value]))[0]
        print("python", type(value).__name__, payload.metadata["encoding"].decode(), payload.data)


asyncio.run(main())
PY
cat >"$folder/run.js" <<'JS'
const { defaultPayloadConverter } = require('@temporalio/common');
const text = (bytes) => Buffer.from(bytes).toString('latin1');
for (const file of [new Uint8Array([1, 255]), Buffer.from([1, 255])]) {
    const payload = defaultPayloadConverter.toPayload({ file });
    console.log('node', file.constructor.name, text(payload.metadata.encoding), text(payload.data));
}
JS
expect "python bytes binary/plain b'\\x01\\xff'
python bytearray json/plain b'[1,255]'
python dict json/plain b'{\"file\":[1,255]}'
node Uint8Array json/plain {\"file\":{\"0\":1,\"1\":255}}
node Buffer json/plain {\"file\":{\"type\":\"Buffer\",\"data\":[1,255]}}" "$(cd "$folder" && python/bin/python run.py && node run.js)"
