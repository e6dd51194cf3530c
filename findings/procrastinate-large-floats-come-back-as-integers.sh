#!/usr/bin/env bash
# Guess: a task queue that stores arguments as JSON gives a Python worker the float that Python deferred.
# Seen:  procrastinate 3.10.0 stores arguments as jsonb of PostgreSQL. Python writes floats from 1e16 on with an exponent, jsonb
#        writes the same number without one, and Python reads it as an integer: 1e22 comes back as 10000000000000000000000.
#        1e15 stays a float, -0.0 loses its sign, and keys come back in another order (by length, then by bytes).
# Matters: scores and costs change their type by their size, so a check for floats, a typed model in strict mode or a signature over
#        the arguments fails for rare values only. jsonb does this, so other queues on it have it too (seen on PostgreSQL 15).
# Needs:   PostgreSQL at POSTGRES_URL (default postgres://postgres@127.0.0.1:5432/postgres), a user who may create a database; the
#        script makes one of its own and drops it.
source "$(dirname "$0")/common"
python_with procrastinate==3.10.0 "psycopg[binary]==3.3.2"

cat >"$folder/run.py" <<'PY'
import asyncio
import os
import uuid
import procrastinate
import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

url = os.environ.get("POSTGRES_URL", "postgres://postgres@127.0.0.1:5432/postgres")
database = f"findings_{uuid.uuid4().hex}"


async def queue():
    app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=make_conninfo(url, dbname=database)))

    @app.task(name="show")
    def show(**arguments):
        for name, value in arguments.items():
            print(name, repr(value))

    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        await show.defer_async(zero=-0.0, below=1e15, above=1e16, cost=1e22)
        await app.run_worker_async(wait=False, install_signal_handlers=False)


with psycopg.connect(url, autocommit=True) as connection:
    connection.execute(sql.SQL("create database {}").format(sql.Identifier(database)))
    try:
        asyncio.run(queue())
    finally:
        connection.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(database)))
PY
expect "cost 10000000000000000000000
zero 0.0
above 10000000000000000
below 1000000000000000.0" "$("$folder/python/bin/python" "$folder/run.py")"
