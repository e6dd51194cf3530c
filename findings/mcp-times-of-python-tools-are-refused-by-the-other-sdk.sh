#!/usr/bin/env bash
# Guess: a time that a Python MCP tool returns in a typed result fits the output schema that pydantic made for it.
# Seen:  mcp 2.3.0 publishes the formats `date-time`, `time` and `duration`. Python writes a datetime and a time without a
#        zone, and a duration with fractions of a second or a sign; RFC 3339 has none of these. The Python client ignores
#        formats; the client of @modelcontextprotocol/sdk 1.32.2 checks them and refuses the results.
# Matters: a tool that passes its tests in Python fails for users of TypeScript, and for durations only with some values: 2 s
#        passes, 1.5 s is an error, though the tool has done its work.
source "$(dirname "$0")/common"
python_with mcp==2.3.0
node_with @modelcontextprotocol/sdk@1.32.2

cat >"$folder/server.py" <<'PY'
import datetime
from pydantic import create_model
from mcp.server.mcpserver import MCPServer

server = MCPServer("clock")


def tool(name, value):
    model = create_model(name, value=(type(value), ...))

    def run():
        return model(value=value)

    run.__name__, run.__annotations__ = name, {"return": model}
    server.tool()(run)


tool("moment_with_zone", datetime.datetime(2027, 1, 1, 9, 30, tzinfo=datetime.timezone.utc))
tool("moment", datetime.datetime(2027, 1, 1, 9, 30))
tool("time", datetime.time(9, 30))
tool("two_seconds", datetime.timedelta(seconds=2))
tool("half_seconds", datetime.timedelta(seconds=1.5))
tool("earlier", datetime.timedelta(seconds=-3))

if __name__ == "__main__":
    server.run("stdio")
PY
cat >"$folder/client.py" <<'PY'
import asyncio
from mcp.client import Client
from server import server


async def main():
    async with Client(server) as client:
        for tool in (await client.list_tools()).tools:
            result = await client.call_tool(tool.name, {})
            print("python    ", tool.name, tool.output_schema["properties"]["value"]["format"], result.structured_content["value"])


asyncio.run(main())
PY
cat >"$folder/client.mjs" <<'JS'
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';

const client = new Client({ name: 'client', version: '1.0.0' });
await client.connect(new StdioClientTransport({ command: 'python/bin/python', args: ['server.py'], stderr: 'ignore' }));
for (const { name } of (await client.listTools()).tools) {
  const seen = await client.callTool({ name, arguments: {} }).then(
    (result) => result.structuredContent.value,
    (error) => `refused: ${error.message.split('data/value ')[1]}`,
  );
  console.log('typescript', name, seen);
}
await client.close();
JS
expect 'python     moment_with_zone date-time 2027-01-01T09:30:00Z
python     moment date-time 2027-01-01T09:30:00
python     time time 09:30:00
python     two_seconds duration PT2S
python     half_seconds duration PT1.5S
python     earlier duration -PT3S
typescript moment_with_zone 2027-01-01T09:30:00Z
typescript moment refused: must match format "date-time"
typescript time refused: must match format "time"
typescript two_seconds PT2S
typescript half_seconds refused: must match format "duration"
typescript earlier refused: must match format "duration"' "$(cd "$folder" && python/bin/python client.py 2>/dev/null && node client.mjs)"
