"""Writes the report of a source tree: Markdown to read, CSV to go on with.

Standard input is the content of an ExecuteSubtask message, with one merge among its `deps`; the answer, on standard
output, is one JSON object whose `files` are the report.
"""
import csv
import io
import json
import sys

COLUMNS = ("files", "lines", "bytes", "empty", "links", "others", "unreadable_count")
HEADS = ("files", "lines", "bytes", "empty files", "links", "others", "unreadable")


def plain(text):
    """A name on one line that means nothing to Markdown: those of files may have anything in them."""
    one_line = json.dumps(text, ensure_ascii=False)[1:-1].replace('\\"', '"')
    return "".join("&#%d;" % ord(mark) if mark in "\\`*_[]|#<>&~!" else mark for mark in one_line)


def row(cells):
    return "| " + " | ".join(cells) + " |"


def markdown(root, merged):
    lines = ["# Source tree %s" % plain(root), ""]
    lines += [row(("type",) + HEADS), row(("---",) + ("---:",) * len(HEADS))]
    by_lines = sorted(merged["types"].items(), key=lambda item: (-item[1]["lines"], item[0]))
    for kind, figures in by_lines + [("total", merged["total"])]:
        lines.append(row([plain(kind)] + [str(figures[column]) for column in COLUMNS]))
    lines += ["", "Lines are newline characters, and one more when the last line of a file has none.", ""]
    lines += ["Links are counted and not followed.", "", "## Largest files", ""]
    lines += [row(("file", "type", "lines", "bytes")), row(("---", "---", "---:", "---:"))]
    for file in merged["total"]["largest"]:
        lines.append(row((plain(file["path"]), plain(file["type"]), str(file["lines"]), str(file["bytes"]))))
    return "\n".join(lines) + "\n"


def table(merged):
    text = io.StringIO()
    writer = csv.DictWriter(text, ("type",) + COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(merged["rows"])
    return text.getvalue()


def main():
    content = json.load(sys.stdin)
    merges = [result for result in content["deps"].values() if isinstance(result, dict) and "total" in result]
    if len(merges) != 1:
        print("a report is of one merge, and there are %d" % len(merges), file=sys.stderr)
        sys.exit(1)
    merged = merges[0]
    root = (content["input"] or {}).get("root", ".")
    files = [
        {"path": "code-report.md", "media_type": "text/markdown", "text": markdown(root, merged)},
        {"path": "code-report.csv", "media_type": "text/csv", "text": table(merged)},
    ]
    print(json.dumps({"total": merged["total"], "files": files}))


if __name__ == "__main__":
    main()
