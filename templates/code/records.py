"""Rows of SQLite tables as records: every value is checked before it is written.

Generated together with `model.py`, which says what tables there are, and `schema.sql`, which makes them.
"""
from __future__ import annotations

import hashlib
import hmac
import math
import re
import secrets
import sqlite3
import time
import uuid
from dataclasses import asdict, dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple, Type

HASH_ROUNDS = 600_000
PASSWORD_LENGTH_MIN = 8
PAGE_SIZE_MAX = 100
CENT = Decimal("0.01")
DECIMAL_LIMIT = Decimal(10) ** 12


class Invalid(ValueError):
    """Values that a table does not take; `problems` says why, by column."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{column} {problem}" for column, problem in sorted(problems.items())))
        self.problems = dict(problems)


class NotFound(LookupError):
    """There is no such row."""


class Refused(PermissionError):
    """Whoever asks may not; without saying more."""


@dataclass(frozen=True)
class Field:
    column: str
    kind: str
    required: bool = False
    unique: bool = False
    references: Optional[str] = None


@dataclass(frozen=True)
class Table:
    name: str
    record: Type[Any]
    fields: Tuple[Field, ...]

    def field(self, column: str) -> Optional[Field]:
        if column == "id":
            return Field("id", "integer")
        return next((field for field in self.fields if field.column == column), None)

    @property
    def columns(self) -> List[str]:
        return ["id"] + [field.column for field in self.fields]


def connect(path: str = ":memory:", schema: Optional[str] = None) -> sqlite3.Connection:
    """Opens a database and, when it is empty, makes the tables of `schema.sql` beside this file."""
    connection = sqlite3.connect(path)
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA foreign_keys = ON")
    if not connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone():
        if schema is None:
            schema = Path(__file__).with_name("schema.sql").read_text(encoding="utf-8")
        connection.executescript(schema)
    return connection


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


# Values


def _text(value: Any, most: Optional[int]) -> str:
    if not isinstance(value, str):
        raise ValueError("is no text")
    if "\0" in value:
        raise ValueError("has a NUL character")
    if most is not None and len(value) > most:
        raise ValueError(f"is longer than {most}")
    return value


def _matching(value: Any, pattern: str, what: str) -> str:
    text = _text(value, 255)
    if not re.fullmatch(pattern, text):
        raise ValueError(f"is no {what}")
    return text


def _integer(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("is no integer")
    if not -(2**63) <= value < 2**63:
        raise ValueError("is out of range")
    return value


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError("is no number")
    try:
        number = float(value)
    except OverflowError:
        raise ValueError("is out of range") from None
    if not math.isfinite(number):
        raise ValueError("is not finite")
    return number


def _decimal(value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, (int, str, Decimal)):
        raise ValueError("is no decimal number")
    try:
        number = Decimal(value)
    except InvalidOperation:
        raise ValueError("is no decimal number") from None
    if not number.is_finite() or abs(number) >= DECIMAL_LIMIT:
        raise ValueError("is out of range")
    if number != number.quantize(CENT):
        raise ValueError("has more than two decimal places")
    return number.quantize(CENT)


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("is neither true nor false")
    return value


def _date(value: Any) -> str:
    text = _text(value, 10)
    if date.fromisoformat(text).isoformat() != text:
        raise ValueError("is no date")
    return text


def _datetime(value: Any) -> str:
    text = _text(value, 40)
    datetime.fromisoformat(text[:-1] if text.endswith("Z") else text)
    return text


def _uuid(value: Any) -> str:
    text = _text(value, 36)
    if str(uuid.UUID(text)) != text.lower():
        raise ValueError("is no UUID")
    return text


CHECKS = {
    "boolean": _boolean,
    "date": _date,
    "datetime": _datetime,
    "decimal": _decimal,
    "email": lambda value: _matching(value, r"[^@\s]+@[^@\s]+", "email address"),
    "integer": _integer,
    "number": _number,
    "password": lambda value: _matching(value, r"pbkdf2_sha256\$[0-9]+\$[0-9a-f]+\$[0-9a-f]+", "password's hash"),
    "reference": _integer,
    "string": lambda value: _text(value, 255),
    "text": lambda value: _text(value, None),
    "uuid": _uuid,
}


def validate(table: Table, values: Mapping[str, Any], partial: bool = False) -> Dict[str, Any]:
    """`values` as the table takes them, or `Invalid` with every problem that there is."""
    problems = {column: "is no column" for column in values if table.field(column) is None or column == "id"}
    clean: Dict[str, Any] = {}
    for field in table.fields:
        if field.column not in values and partial:
            continue
        value = values.get(field.column)
        if value is None or (field.required and value == ""):
            if field.required:
                problems[field.column] = "is required"
            clean[field.column] = None
            continue
        try:
            clean[field.column] = CHECKS[field.kind](value)
        except ValueError as error:
            said = str(error)
            problems[field.column] = said if said.startswith(("is ", "has ")) else f"is no {field.kind}"
    if problems:
        raise Invalid(problems)
    return clean


def _stored(value: Any) -> Any:
    if isinstance(value, Decimal):
        return str(value)
    return int(value) if isinstance(value, bool) else value


def _read(field: Field, value: Any) -> Any:
    if value is None:
        return None
    if field.kind == "boolean":
        return bool(value)
    if field.kind == "number":
        return float(value)
    return Decimal(str(value)).quantize(CENT) if field.kind == "decimal" else value


def _record(table: Table, row: sqlite3.Row) -> Any:
    values = {field.column: _read(field, row[field.column]) for field in table.fields}
    return table.record(id=row["id"], **values)


def _explained(table: Table, error: sqlite3.IntegrityError) -> Invalid:
    taken = re.findall(r"UNIQUE constraint failed: (.+)", str(error))
    if taken:
        return Invalid({name.strip().rpartition(".")[2]: "is taken" for name in taken[0].split(",")})
    if "FOREIGN KEY" in str(error):
        references = [field.column for field in table.fields if field.references]
        return Invalid({" or ".join(references) or "the row": "refers to nothing, or is referred to"})
    return Invalid({"the row": f"is not taken: {error}"})


# Rows


def insert(connection: sqlite3.Connection, table: Table, values: Mapping[str, Any]) -> Any:
    """Writes a row and answers with its record."""
    clean = validate(table, values)
    columns = ", ".join(quoted(column) for column in clean)
    marks = ", ".join("?" for _ in clean)
    try:
        with connection:
            cursor = connection.execute(
                f"INSERT INTO {quoted(table.name)} ({columns}) VALUES ({marks})",
                [_stored(value) for value in clean.values()],
            )
    except sqlite3.IntegrityError as error:
        raise _explained(table, error) from error
    return table.record(id=cursor.lastrowid, **clean)


def get(connection: sqlite3.Connection, table: Table, key: int) -> Any:
    """The record with this id, or `NotFound`."""
    row = connection.execute(f"SELECT * FROM {quoted(table.name)} WHERE id = ?", [_integer(key)]).fetchone()
    if row is None:
        raise NotFound(f"{table.name} has no row {key}")
    return _record(table, row)


def _condition(table: Table, key: str, value: Any) -> Tuple[str, Any]:
    """`name` is equal, `price__min` and `price__max` bound, `name__contains` looks for a part."""
    column, operation = key, "equal"
    if table.field(key) is None:
        column, _, operation = key.rpartition("__")
    field = table.field(column)
    if field is None or field.kind == "password":
        raise Invalid({key: "is no filter"})
    if operation == "contains" and field.kind in ("string", "text", "email"):
        part = _text(value, 255).replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        return f"{quoted(column)} LIKE ? ESCAPE '\\'", f"%{part}%"
    comparison = {"equal": "=", "min": ">=", "max": "<="}.get(operation)
    if comparison is None:
        raise Invalid({key: "is no filter"})
    try:
        checked = CHECKS[field.kind](value)
    except ValueError as error:
        raise Invalid({key: str(error)}) from error
    return f"{quoted(column)} {comparison} ?", float(checked) if isinstance(checked, Decimal) else _stored(checked)


def _where(table: Table, filters: Mapping[str, Any]) -> Tuple[str, List[Any]]:
    conditions = [_condition(table, key, value) for key, value in filters.items()]
    text = " AND ".join(condition for condition, _ in conditions)
    return (f" WHERE {text}" if text else ""), [value for _, value in conditions]


def select(
    connection: sqlite3.Connection,
    table: Table,
    filters: Optional[Mapping[str, Any]] = None,
    order_by: str = "id",
    descending: bool = False,
    limit: int = PAGE_SIZE_MAX,
    offset: int = 0,
) -> List[Any]:
    """The records that pass all filters, a page of them."""
    field = table.field(order_by)
    if field is None or field.kind == "password":
        raise Invalid({"order_by": f"is no column: {order_by}"})
    if not 1 <= limit <= PAGE_SIZE_MAX or offset < 0:
        raise Invalid({"limit": f"is not 1 to {PAGE_SIZE_MAX}"})
    where, values = _where(table, filters or {})
    direction = "DESC" if descending else "ASC"
    rows = connection.execute(
        f"SELECT * FROM {quoted(table.name)}{where} ORDER BY {quoted(order_by)} {direction}, id LIMIT ? OFFSET ?",
        values + [limit, offset],
    )
    return [_record(table, row) for row in rows]


def count(connection: sqlite3.Connection, table: Table, filters: Optional[Mapping[str, Any]] = None) -> int:
    where, values = _where(table, filters or {})
    return connection.execute(f"SELECT count(*) FROM {quoted(table.name)}{where}", values).fetchone()[0]


def update(connection: sqlite3.Connection, table: Table, key: int, values: Mapping[str, Any]) -> Any:
    """Changes the named columns of a row and answers with its record."""
    clean = validate(table, values, partial=True)
    if clean:
        changes = ", ".join(f"{quoted(column)} = ?" for column in clean)
        try:
            with connection:
                connection.execute(
                    f"UPDATE {quoted(table.name)} SET {changes} WHERE id = ?",
                    [_stored(value) for value in clean.values()] + [_integer(key)],
                )
        except sqlite3.IntegrityError as error:
            raise _explained(table, error) from error
    return get(connection, table, key)


def delete(connection: sqlite3.Connection, table: Table, key: int) -> None:
    """Removes a row, or says why it can not go."""
    try:
        with connection:
            done = connection.execute(f"DELETE FROM {quoted(table.name)} WHERE id = ?", [_integer(key)])
    except sqlite3.IntegrityError as error:
        raise Invalid({"id": "is referred to"}) from error
    if done.rowcount == 0:
        raise NotFound(f"{table.name} has no row {key}")


# Passwords and tokens


def hash_password(password: str) -> str:
    """A salted hash, with everything in it that is needed to check a password against it."""
    if len(_text(password, 1024)) < PASSWORD_LENGTH_MIN:
        raise Invalid({"password": f"is shorter than {PASSWORD_LENGTH_MIN}"})
    salt = secrets.token_hex(16)
    digest = hashlib.pbkdf2_hmac("sha256", password.encode(), bytes.fromhex(salt), HASH_ROUNDS)
    return f"pbkdf2_sha256${HASH_ROUNDS}${salt}${digest.hex()}"


def verify_password(password: str, stored: str) -> bool:
    _, rounds, salt, expected = stored.split("$")
    digest = hashlib.pbkdf2_hmac("sha256", password.encode(), bytes.fromhex(salt), int(rounds))
    return hmac.compare_digest(digest.hex(), expected)


def nobody() -> str:
    """What no password fits, and takes as much work to find out as for any other."""
    return f"pbkdf2_sha256${HASH_ROUNDS}$00$00"


def _signature(secret: bytes, text: str) -> str:
    return hmac.new(secret, text.encode(), hashlib.sha256).hexdigest()


def issue_token(secret: bytes, purpose: str, subject: int, lifetime: float, now: Optional[float] = None) -> str:
    """A signed statement that `subject` may do `purpose` for `lifetime` seconds."""
    expires = int((time.time() if now is None else now) + lifetime)
    statement = f"{purpose}.{subject}.{expires}"
    return f"{statement}.{_signature(secret, statement)}"


def read_token(secret: bytes, purpose: str, token: str, now: Optional[float] = None) -> int:
    """The subject of a token that was issued for this purpose and has not expired, or `Refused`."""
    statement, _, signature = token.rpartition(".")
    if not hmac.compare_digest(_signature(secret, statement).encode(), signature.encode()):
        raise Refused("the token is not ours")
    stated, subject, expires = statement.split(".")
    if stated != purpose:
        raise Refused("the token is for something else")
    if (time.time() if now is None else now) >= int(expires):
        raise Refused("the token has expired")
    return int(subject)


def public(table: Table, record: Any) -> Dict[str, Any]:
    """What of a record may be shown: everything but hashes of passwords."""
    hidden = {field.column for field in table.fields if field.kind == "password"}
    return {column: value for column, value in asdict(record).items() if column not in hidden}


def only(rows: Sequence[Any]) -> Optional[Any]:
    """The one row there is, if there is one."""
    return rows[0] if rows else None
