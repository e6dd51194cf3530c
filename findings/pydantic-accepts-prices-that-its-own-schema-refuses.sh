#!/usr/bin/env bash
# Guess: a value that a pydantic model accepts fits the JSON schema of that model.
# Seen:  pydantic 2.14.4 allows a small error in `multiple_of` of a float, so 19.99 is a multiple of 0.01. The published keyword
#        `multipleOf` has no such room in the validators: jsonschema 4.26.0 and ajv 8.20.0 refuse 19.99, 4.35 and
#        0.07 and accept 0.25. In Python an mcp 2.3.0 tool with such a result fails at its own client.
# Matters: prices, rates and scores in the results of tools and in structured output of models are refused for some
#        values only, after the side that made them has accepted them.
source "$(dirname "$0")/common"
python_with pydantic==2.14.4 jsonschema==4.26.0 mcp==2.3.0
node_with ajv@8.20.0

cat >"$folder/write.py" <<'PY'
import json
from pydantic import BaseModel, Field


class Price(BaseModel):
    euros: float = Field(multiple_of=0.01)


if __name__ == "__main__":
    documents = [Price(euros=euros).model_dump() for euros in (0.25, 19.99, 4.35, 0.07)]
    print(json.dumps({"schema": Price.model_json_schema(), "documents": documents}))
PY
cat >"$folder/read.py" <<'PY'
import asyncio
import json
import jsonschema
from mcp.client import Client
from mcp.server.mcpserver import MCPServer
from write import Price

file = json.load(open("documents.json"))
for document in file["documents"]:
    print("jsonschema", document["euros"], jsonschema.Draft202012Validator(file["schema"]).is_valid(document))

server = MCPServer("shop")


@server.tool()
def price() -> Price:
    return Price(euros=19.99)


async def main():
    async with Client(server) as client:
        try:
            print("mcp", (await client.call_tool("price", {})).structured_content)
        except RuntimeError as error:
            print("mcp", str(error).splitlines()[0])


asyncio.run(main())
PY
cat >"$folder/read.js" <<'JS'
const Ajv = require('ajv/dist/2020').default;
const { schema, documents } = require('./documents.json');
for (const document of documents) console.log('ajv', document.euros, new Ajv().validate(schema, document));
JS
expect 'jsonschema 0.25 True
jsonschema 19.99 False
jsonschema 4.35 False
jsonschema 0.07 False
mcp Invalid structured content returned by tool price: 19.99 is not a multiple of 0.01
ajv 0.25 true
ajv 19.99 false
ajv 4.35 false
ajv 0.07 false' "$(cd "$folder" && python/bin/python write.py >documents.json && python/bin/python read.py 2>/dev/null && node read.js)"
