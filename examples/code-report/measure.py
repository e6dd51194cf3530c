"""Measures the files of some types in a source tree.

Standard input is the content of an ExecuteSubtask message. Its `input` has

    root     the folder to measure, relative to where the worker was started
    types    which files: those whose names end in one of these, without the full stop; or else
    except   all files but those
    skip     names of folders that are not looked into

The answer, on standard output, is one JSON object: files, lines, bytes, empty files, the largest files, and apart
from these links (which are not followed), other things that are no files, and what could not be read.

Lines are newline characters, and one more when the last line has none. The type of a file is what follows the last
full stop of its name, in lower case; a name that has none, or only at its beginning, has no type: "".

Called with `--within FOLDER` it measures nothing that is not in there.
"""
import json
import os
import stat
import sys

CHUNK = 1 << 20
LARGEST = 5


def fail(message):
    print(message, file=sys.stderr)
    sys.exit(1)


def shown(path):
    """A path as text: file names are bytes, and not all of them are UTF-8."""
    return os.fsencode(path).decode("utf-8", "replace")


def type_of(name):
    return os.path.splitext(name)[1][1:].lower()


def measure_file(path):
    """Lines and bytes of one file."""
    lines = size = 0
    last = b"\n"
    with open(path, "rb") as file:
        while True:
            chunk = file.read(CHUNK)
            if not chunk:
                break
            lines += chunk.count(b"\n")
            size += len(chunk)
            last = chunk[-1:]
    return lines + (last != b"\n"), size


def entries(root, skip, unreadable):
    """The path of everything under `root` but folders, in a fixed order. Links to folders are not folders."""
    for folder, folders, names in os.walk(root, onerror=lambda error: unreadable.append(shown(error.filename))):
        links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
        folders[:] = sorted(name for name in folders if name not in skip and name not in links)
        for name in sorted(names + links):
            yield name, os.path.join(folder, name)


def measure(root, wanted, skip):
    result = {"files": 0, "lines": 0, "bytes": 0, "empty": 0, "links": 0, "others": 0}
    unreadable, measured = [], []
    for name, path in entries(root, skip, unreadable):
        if not wanted(type_of(name)):
            continue
        try:
            mode = os.lstat(path).st_mode
            if stat.S_ISLNK(mode):
                result["links"] += 1
                continue
            if not stat.S_ISREG(mode):
                result["others"] += 1
                continue
            lines, size = measure_file(path)
        except OSError:
            unreadable.append(shown(os.path.relpath(path, root)))
            continue
        result["files"] += 1
        result["lines"] += lines
        result["bytes"] += size
        result["empty"] += size == 0
        measured.append({"path": shown(os.path.relpath(path, root)), "lines": lines, "bytes": size})
    measured.sort(key=lambda file: (-file["bytes"], file["path"]))
    result["largest"] = measured[:LARGEST]
    result["unreadable"] = unreadable[:LARGEST]
    result["unreadable_count"] = len(unreadable)
    return result


def names(given, key):
    value = given.get(key, [])
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        fail("input `%s` is no array of texts" % key)
    return set(value)


def main():
    given = json.load(sys.stdin)["input"] or {}
    root = given.get("root", ".")
    if not isinstance(root, str) or "\0" in root or not os.path.isdir(root):
        fail("input `root` is no folder here: %s" % json.dumps(root))
    if sys.argv[1:2] == ["--within"]:
        within = os.path.realpath(sys.argv[2])
        if os.path.commonpath([within, os.path.realpath(root)]) != within:
            fail("input `root` is not in `%s`: %s" % (within, json.dumps(root)))
    types, others = names(given, "types"), names(given, "except")
    if bool(types) == bool(others):
        fail("input has neither `types` nor `except`, or both")
    kind = ", ".join(sorted(types)) if types else "everything else"
    wanted = (lambda kind: kind in types) if types else (lambda kind: kind not in others)
    result = {"types": {kind: measure(root, wanted, names(given, "skip"))}}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
