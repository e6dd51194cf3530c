#!/usr/bin/env bash
# Guess: a tool of the Python SDK that is typed `-> float` and returns infinity is an error of the tool, or arrives.
# Seen:  mcp 2.3.0 (PyPI) publishes the output schema `number` for it and answers with `null` and no error. The client of
#        @modelcontextprotocol/sdk 1.32.2 (npm) validates, and raises -32602 "does not match the tool's output schema": the
#        call fails on the client's side although the server says success. Python's own client raises too.
#        A tool typed `-> dict` has no schema: there NaN arrives as the letters NaN in a text that looks like JSON.
# Matters: a ratio with an empty denominator fails every time it is asked for, and the text block can not be parsed.
source "$(dirname "$0")/common"
python_with mcp==2.3.0
node_with @modelcontextprotocol/sdk@1.32.2

cat >"$folder/server.py" <<'PY'
import math
from mcp.server.mcpserver import MCPServer

server = MCPServer("ratios")


@server.tool()
def ratio() -> float:
    return math.inf


@server.tool()
def statistics() -> dict:
    return {"mean": math.nan}


server.run()
PY
cat >"$folder/client.mjs" <<'JS'
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
const transport = new StdioClientTransport({ command: 'python/bin/python', args: ['server.py'], stderr: 'ignore' });
const client = new Client({ name: 'finding', version: '1' });
await client.connect(transport);
const { tools } = await client.listTools();
console.log('schema of ratio:', JSON.stringify(tools[0].outputSchema.properties.result.type));
try {
    console.log(await client.callTool({ name: 'ratio', arguments: {} }));
} catch (error) {
    console.log('node:', error.code, error.message.replace(/^.*?: /, ''));
}
console.log('statistics:', JSON.stringify((await client.callTool({ name: 'statistics', arguments: {} })).content[0].text));
await client.close();
JS
cat >"$folder/client.py" <<'PY'
import asyncio
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client


async def main():
    async with stdio_client(StdioServerParameters(command="python/bin/python", args=["server.py"])) as (read, write):
        async with ClientSession(read, write) as session:
            await session.initialize()
            await session.list_tools()
            try:
                print(await session.call_tool("ratio", {}))
            except Exception as error:
                print("python:", type(error).__name__)


asyncio.run(main())
PY
expect 'schema of ratio: "number"
node: -32602 Structured content does not match the tool'"'"'s output schema: data/result must be number
statistics: "{\n  \"mean\": NaN\n}"
python: RuntimeError' "$(cd "$folder" && timeout 60 node client.mjs && timeout 60 python/bin/python client.py 2>/dev/null)"
