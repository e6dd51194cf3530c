#!/usr/bin/env bash
# Guess: an agent framework hands the text of an MCP tool to the agent as that text.
# Seen:  pydantic-ai 2.68.0 reads a text block that begins with { or [ as JSON: the file `{"amount": 1.50}` reaches the agent as
#        an object with 1.5, 1e400 becomes infinity, and a key that occurs twice loses its first value. A tool with an
#        output schema keeps its text. Other texts (`007`) stay text. Of a result with text and structured content
#        the text is dropped, and an object with the one key `result` is unwrapped.
# Matters: a tool that reads files or signs documents hands over other bytes than it sent, for JSON files only; and whether it does
#        depends on the server's version (newer servers make an output schema for `-> str`).
source "$(dirname "$0")/common"
python_with "pydantic-ai-slim[mcp]==2.68.0" fastmcp-slim==3.4.11 mcp==1.30.0

cat >"$folder/server.py" <<'PY'
from mcp.server.fastmcp import FastMCP
from mcp.types import CallToolResult, TextContent

server = FastMCP("files")


@server.tool(structured_output=False)
def amount() -> str:
    return '{"amount": 1.50}'


@server.tool()
def amount_with_schema() -> str:
    return '{"amount": 1.50}'


@server.tool(structured_output=False)
def large() -> str:
    return "[1e400]"


@server.tool(structured_output=False)
def twice() -> str:
    return '{"to": "a", "to": "b"}'


@server.tool(structured_output=False)
def number() -> str:
    return "007"


@server.tool()
def both() -> CallToolResult:
    return CallToolResult(content=[TextContent(type="text", text="5 of 900 rows")], structuredContent={"result": [1, 2]})


server.run("stdio")
PY
cat >"$folder/client.py" <<'PY'
import asyncio
import sys
from fastmcp.client.transports import StdioTransport
from pydantic_ai.mcp import MCPToolset


async def main():
    async with MCPToolset(StdioTransport(sys.executable, ["server.py"])) as tools:
        for name in ("amount", "amount_with_schema", "large", "twice", "number", "both"):
            print(name, repr(await tools.direct_call_tool(name, {})))


asyncio.run(main())
PY
expect "amount {'amount': 1.5}
amount_with_schema '{\"amount\": 1.50}'
large [inf]
twice {'to': 'b'}
number '007'
both [1, 2]" "$(cd "$folder" && python/bin/python client.py)"
