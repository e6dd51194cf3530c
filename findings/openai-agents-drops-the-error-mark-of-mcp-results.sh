#!/usr/bin/env bash
# Guess: an MCP result with `isError: true` is a failed call in an agent framework, as an exception or with a mark.
# Seen:  openai-agents 0.24.0 returns the text like that of a success: the flag is gone, and its hook for failures
#        (`failure_error_function`) is not called. langchain-mcp-adapters 0.3.2 gives a message with the status `error`.
# Matters: a tool that failed with partial output ("3 of 10 rows") looks complete. Retries, guardrails and metrics that count
#        failed calls see none.
source "$(dirname "$0")/common"
python_with mcp==1.30.0 openai-agents==0.24.0 langchain-mcp-adapters==0.3.2

cat >"$folder/server.py" <<'PY'
from mcp.server.fastmcp import FastMCP
from mcp.types import CallToolResult, TextContent

server = FastMCP("rows")


@server.tool()
def complete() -> CallToolResult:
    return CallToolResult(content=[TextContent(type="text", text="10 of 10 rows")])


@server.tool()
def failed() -> CallToolResult:
    return CallToolResult(content=[TextContent(type="text", text="3 of 10 rows")], isError=True)


server.run("stdio")
PY
cat >"$folder/client.py" <<'PY'
import asyncio
import sys
from agents import RunContextWrapper
from agents.mcp import MCPServerStdio, MCPUtil
from langchain_mcp_adapters.client import MultiServerMCPClient

command = {"command": sys.executable, "args": ["server.py"]}


async def main():
    for tool in await MultiServerMCPClient({"rows": {**command, "transport": "stdio"}}).get_tools():
        message = await tool.ainvoke({"name": tool.name, "args": {}, "id": "1", "type": "tool_call"})
        print("langchain", tool.name, message.status, message.content[0]["text"])
    failures = []
    async with MCPServerStdio(command, failure_error_function=lambda context, error: failures.append(error)) as server:
        for tool in await server.list_tools():
            print("openai-agents", tool.name, await MCPUtil.invoke_mcp_tool(server, tool, RunContextWrapper(None), "{}"))
    print("openai-agents failures:", failures)


asyncio.run(main())
PY
expect "langchain complete success 10 of 10 rows
langchain failed error 3 of 10 rows
openai-agents complete {'type': 'text', 'text': '10 of 10 rows'}
openai-agents failed {'type': 'text', 'text': '3 of 10 rows'}
openai-agents failures: []" "$(cd "$folder" && python/bin/python client.py)"
