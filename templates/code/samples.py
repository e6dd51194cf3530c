"""Rows for tests: good values for any table, and whatever they refer to."""
from __future__ import annotations

import sqlite3
from decimal import Decimal
from typing import Any, Dict, Optional

import model
import records
from records import Field, Table

ROUNDS_IN_TESTS = 10
PASSWORD = "correct horse"


def fast() -> None:
    """Passwords in tests need not be expensive."""
    records.HASH_ROUNDS = ROUNDS_IN_TESTS


def value(field: Field, number: int) -> Any:
    """A value that the field takes, another one for each number."""
    kinds = {
        "boolean": lambda: number % 2 == 1,
        "date": lambda: f"2026-03-{number:02}",
        "datetime": lambda: f"2026-03-{number:02}T12:00:00Z",
        "decimal": lambda: Decimal(number) + Decimal("0.25"),
        "email": lambda: f"{field.column}{number}@example.com",
        "integer": lambda: number,
        "number": lambda: number + 0.5,
        "password": lambda: records.hash_password(PASSWORD),
        "uuid": lambda: f"00000000-0000-4000-8000-{number:012}",
    }
    return kinds.get(field.kind, lambda: f"{field.column} {number}")()


NONSENSE = {
    "boolean": 2,
    "date": "2026-02-31",
    "datetime": "soon",
    "decimal": "0.001",
    "email": "nobody",
    "integer": "7",
    "number": "7",
    "password": "plain text",
    "reference": "7",
    "string": "x" * 256,
    "text": 7,
    "uuid": "7",
}


def values(connection: sqlite3.Connection, table: Table, number: int = 1) -> Dict[str, Any]:
    """Values of a whole row, with the rows that it refers to written first."""
    row: Dict[str, Any] = {}
    for field in table.fields:
        if field.kind != "reference":
            row[field.column] = value(field, number)
        elif field.required or earlier(field.references, table):
            row[field.column] = key(connection, field.references, number)
    return row


def earlier(name: Optional[str], table: Table) -> bool:
    """Whether the table of that name comes before this one, so that it can have rows already."""
    names = [other.name for other in model.tables()]
    return name in names[: names.index(table.name)]


def key(connection: sqlite3.Connection, name: Optional[str], number: int) -> int:
    """The id of row `number` of a table, which is written when there is none."""
    table = next(other for other in model.tables() if other.name == name)
    rows = records.select(connection, table, {"id": number})
    while not rows:
        added = add(connection, table, records.count(connection, table) + 1)
        rows = [added] if added.id == number else []
    return rows[0].id


def add(connection: sqlite3.Connection, table: Table, number: int = 1) -> Any:
    """Writes row `number` and answers with its record."""
    return records.insert(connection, table, values(connection, table, number))
