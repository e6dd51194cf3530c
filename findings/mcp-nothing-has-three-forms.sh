#!/usr/bin/env bash
# Guess: "nothing" in the answer of an MCP tool has one form: one text block that says null or [].
# Seen:  mcp 2.3.0 (PyPI): a tool that returns None answers with no content block at all; an empty list too, and
#        without a type for its elements it has no structured content either; a list of two has a block per element, so
#        a list with one element and the element alone look the same in `content`. isError is false in all of them.
# Matters: whoever takes `content[0]` of a successful call fails on a search without hits; the value is only whole in
#        `structuredContent`, where the tool has an output schema.
source "$(dirname "$0")/common"
python_with mcp==2.3.0

cat >"$folder/run.py" <<'PY'
import asyncio
from mcp.client import Client
from mcp.server.mcpserver import MCPServer

server = MCPServer("search")


@server.tool()
def nothing() -> None:
    return None


@server.tool()
def untyped_empty() -> list:
    return []


@server.tool()
def empty() -> list[int]:
    return []


@server.tool()
def one() -> list[int]:
    return [7]


@server.tool()
def alone() -> int:
    return 7


@server.tool()
def two() -> list[int]:
    return [7, 8]


async def main():
    async with Client(server) as client:
        for name in ("nothing", "untyped_empty", "empty", "one", "alone", "two"):
            result = await client.call_tool(name, {})
            print(name, [block.text for block in result.content], result.structured_content, result.is_error)


asyncio.run(main())
PY
expect "nothing [] {'result': None} False
untyped_empty [] None False
empty [] {'result': []} False
one ['7'] {'result': [7]} False
alone ['7'] {'result': 7} False
two ['7', '8'] {'result': [7, 8]} False" "$("$folder/python/bin/python" "$folder/run.py" 2>&1)"
