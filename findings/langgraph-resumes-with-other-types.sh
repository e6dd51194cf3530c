#!/usr/bin/env bash
# Guess: a state that LangGraph has taken into a checkpoint comes out of it as it went in, or is refused.
# Seen:  langgraph-checkpoint 4.3.2: tuples come back as lists, an exception as the text of its repr, a Counter and a
#        defaultdict as plain dictionaries (so the next `state["seen"]["new"] += 1` is a KeyError), a bounded deque
#        without its bound. Sets, decimals, dates and dictionaries with integer keys come back as they were.
# Matters: a graph that runs through in one process and one that is resumed from a checkpoint take different branches.
source "$(dirname "$0")/common"
python_with langgraph-checkpoint==4.3.2 ormsgpack==1.13.1

cat >"$folder/run.py" <<'PY'
import collections
import decimal
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

serializer = JsonPlusSerializer()
for value in (
    (1, 2),
    ValueError("no rows"),
    collections.Counter("aab"),
    collections.defaultdict(int, seen=1),
    collections.deque([1], maxlen=2),
    {1, 2},
    decimal.Decimal("1.10"),
    {1: "a"},
):
    print(repr(value), "->", repr(serializer.loads_typed(serializer.dumps_typed(value))))
PY
expect "(1, 2) -> [1, 2]
ValueError('no rows') -> \"ValueError('no rows')\"
Counter({'a': 2, 'b': 1}) -> {'a': 2, 'b': 1}
defaultdict(<class 'int'>, {'seen': 1}) -> {'seen': 1}
deque([1], maxlen=2) -> deque([1])
{1, 2} -> {1, 2}
Decimal('1.10') -> Decimal('1.10')
{1: 'a'} -> {1: 'a'}" "$("$folder/python/bin/python" "$folder/run.py" 2>/dev/null)"
