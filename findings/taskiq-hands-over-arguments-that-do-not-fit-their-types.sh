#!/usr/bin/env bash
# Guess: a task queue that checks arguments against the types of the function converts them or fails the task.
# Seen:  taskiq 0.13.0 converts what pydantic can convert ("7" to 7, 5 to a moment in 1970). What does not fit it hands over as it came,
#        with a warning in the worker's log: a function with `count: int` runs with "seven" or 7.5, and the task succeeds.
# Matters: `count * 2` of "seven" is "sevenseven". The types look enforced, because the common case converts, so that workers leave
#        out checks of their own. One element that does not fit leaves the whole list as it came: `["1", "x"]` keeps the text "1".
source "$(dirname "$0")/common"
python_with taskiq==0.13.0

cat >"$folder/run.py" <<'PY'
import asyncio
import datetime
import logging
from taskiq import InMemoryBroker

logging.disable(logging.WARNING)
broker = InMemoryBroker()


@broker.task
async def run(count: int, name: str = "", since: datetime.datetime | None = None, ids: list[int] | None = None) -> str:
    return f"{count!r} {name!r} {since and since.isoformat()} {ids}"


async def main():
    await broker.startup()
    for arguments in (
        {"count": "7"},
        {"count": "seven"},
        {"count": 7.5},
        {"count": 1, "name": 5},
        {"count": 1, "since": 5},
        {"count": 1, "ids": ["1", "2"]},
        {"count": 1, "ids": ["1", "x"]},
    ):
        result = await (await run.kiq(**arguments)).wait_result(timeout=30)
        print(arguments, "->", "failed" if result.is_err else result.return_value)
    await broker.shutdown()


asyncio.run(main())
PY
expect "{'count': '7'} -> 7 '' None None
{'count': 'seven'} -> 'seven' '' None None
{'count': 7.5} -> 7.5 '' None None
{'count': 1, 'name': 5} -> 1 5 None None
{'count': 1, 'since': 5} -> 1 '' 1970-01-01T00:00:05+00:00 None
{'count': 1, 'ids': ['1', '2']} -> 1 '' None [1, 2]
{'count': 1, 'ids': ['1', 'x']} -> 1 '' None ['1', 'x']" "$("$folder/python/bin/python" "$folder/run.py")"
