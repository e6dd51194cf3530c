#!/usr/bin/env bash
# Guess: an MCP server that checks the result of a tool against the tool's output schema sends what fits that schema.
# Seen:  @modelcontextprotocol/sdk 1.32.2 checks the result with zod, then sends the value from before the check. zod 4.6.7
#        fills in defaults, converts, trims and drops unknown keys; the JSON schema that the server publishes demands
#        the value after all that. The clients of both SDKs (mcp 2.3.0 too) refuse the result of a tool that succeeded.
# Matters: an agent repeats a call whose effect has already happened. A field added to a result breaks every client that
#        checks, because the schema of a plain zod object allows no other keys.
source "$(dirname "$0")/common"
python_with mcp==2.3.0
node_with @modelcontextprotocol/sdk@1.32.2 zod@4.6.7

cat >"$folder/server.mjs" <<'JS'
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js';
import * as z from 'zod';

const server = new McpServer({ name: 'orders', version: '1.0.0' });
const tool = (name, count, structuredContent) =>
  server.registerTool(name, { outputSchema: { count } }, async () => ({ content: [], structuredContent }));
tool('plain', z.number(), { count: 1 });
tool('more_keys', z.number(), { count: 1, page: 2 });
tool('default', z.number().default(5), {});
tool('coerce', z.coerce.number(), { count: '7' });
tool('trim', z.string().trim().max(2), { count: ' 12 ' });
await server.connect(new StdioServerTransport());
JS
cat >"$folder/client.mjs" <<'JS'
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';

const client = new Client({ name: 'client', version: '1.0.0' });
await client.connect(new StdioClientTransport({ command: 'node', args: ['server.mjs'] }));
for (const { name } of (await client.listTools()).tools) {
  const seen = await client.callTool({ name, arguments: {} }).then(
    (result) => JSON.stringify(result.structuredContent),
    () => 'refused',
  );
  console.log('typescript', name, seen);
}
await client.close();
JS
cat >"$folder/client.py" <<'PY'
import asyncio
import json
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client


async def main():
    async with stdio_client(StdioServerParameters(command="node", args=["server.mjs"])) as streams:
        async with ClientSession(*streams) as session:
            await session.initialize()
            for tool in (await session.list_tools()).tools:
                try:
                    seen = json.dumps((await session.call_tool(tool.name, {})).structured_content)
                except RuntimeError:
                    seen = "refused"
                print("python    ", tool.name, seen)


asyncio.run(main())
PY
expect 'typescript plain {"count":1}
typescript more_keys refused
typescript default refused
typescript coerce refused
typescript trim refused
python     plain {"count": 1}
python     more_keys refused
python     default refused
python     coerce refused
python     trim refused' "$(cd "$folder" && node client.mjs 2>&1 && python/bin/python client.py 2>&1)"
