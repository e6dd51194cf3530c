"""Merges what several measurements, or merges of them, found.

Standard input is the content of an ExecuteSubtask message, whose `deps` are their results; the answer, on standard
output, is one JSON object: every type as it was measured, their total, and a row for each, for whoever wants a table.
"""
import json
import sys

SUMS = ("files", "lines", "bytes", "empty", "links", "others", "unreadable_count")
LARGEST = 10


def main():
    deps = json.load(sys.stdin)["deps"]
    types = {}
    for name in sorted(deps):
        found = deps[name].get("types") if isinstance(deps[name], dict) else None
        if not isinstance(found, dict):
            print("`%s` measured nothing" % name, file=sys.stderr)
            sys.exit(1)
        for kind, figures in found.items():
            if types.setdefault(kind, figures) != figures:
                print("`%s` was measured twice, and not alike" % kind, file=sys.stderr)
                sys.exit(1)
    total = {key: sum(figures[key] for figures in types.values()) for key in SUMS}
    largest = [dict(file, type=kind) for kind, figures in types.items() for file in figures["largest"]]
    largest.sort(key=lambda file: (-file["bytes"], file["path"]))
    total["largest"] = largest[:LARGEST]
    rows = [dict({"type": kind}, **{key: figures[key] for key in SUMS}) for kind, figures in sorted(types.items())]
    print(json.dumps({"types": types, "total": total, "rows": rows}))


if __name__ == "__main__":
    main()
