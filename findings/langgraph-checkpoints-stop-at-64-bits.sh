#!/usr/bin/env bash
# Guess: a LangGraph state with a long integer in it (an account number, a hash as a number) can be checkpointed: Python
#        and JSON have integers of any length, and without a checkpointer the same graph runs.
# Seen:  langgraph-checkpoint 4.3.2 (langgraph 1.2.24) packs states with ormsgpack: an integer below -2^63 or above
#        2^64 - 1 anywhere in the state ends the run with `TypeError: Integer exceeds 64-bit range`. The same graph
#        without a checkpointer ends well.
# Matters: whoever adds durability to an agent adds a limit to its values; it shows when a model or a tool first returns
#        such a number.
source "$(dirname "$0")/common"
python_with langgraph==1.2.24 langgraph-checkpoint==4.3.2 ormsgpack==1.13.1

cat >"$folder/run.py" <<'PY'
from typing import TypedDict
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph


class State(TypedDict):
    number: int


graph = StateGraph(State)
graph.add_node("tool", lambda state: {"number": 2**64 - 1 if state["number"] == 0 else 2**64})
graph.add_edge(START, "tool")
graph.add_edge("tool", END)
for saver in (None, InMemorySaver()):
    compiled = graph.compile(checkpointer=saver)
    for first in (0, 1):
        try:
            result = compiled.invoke({"number": first}, {"configurable": {"thread_id": str(first)}})
        except Exception as error:
            result = f"{type(error).__name__}: {error}"
        print("with" if saver else "without", "a checkpointer:", result)
PY
expect "without a checkpointer: {'number': 18446744073709551615}
without a checkpointer: {'number': 18446744073709551616}
with a checkpointer: {'number': 18446744073709551615}
with a checkpointer: TypeError: Integer exceeds 64-bit range" "$("$folder/python/bin/python" "$folder/run.py" 2>/dev/null)"
