#!/usr/bin/env bash
# Guess: a queue with acknowledgements gives a second worker the items that the first one does not hold.
# Seen:  persist-queue 1.1.0: opening an SQLiteAckQueue makes everything that is not acknowledged ready again (`auto_resume`, on by
#        default), also what another, living process holds. Both get item 0. With `auto_resume=False` the second
#        gets only the rest.
# Matters: each restart of one worker repeats the running calls of all others, and a pool that grows under load repeats the most.
source "$(dirname "$0")/common"
python_with persist-queue==1.1.0

cat >"$folder/run.py" <<'PY'
import subprocess
import sys
from persistqueue import SQLiteAckQueue

if len(sys.argv) == 3:
    queue = SQLiteAckQueue(sys.argv[1], auto_resume=sys.argv[2] == "True")
    print([queue.get(block=False) for _ in range(queue.size)])
else:
    for resume in (True, False):
        path = f"{sys.argv[1]}/{resume}"
        first = SQLiteAckQueue(path, auto_resume=resume)
        for item in range(3):
            first.put(item)
        held = first.get()
        second = subprocess.run([sys.executable, __file__, path, str(resume)], check=True, capture_output=True, text=True)
        print(f"auto_resume={resume}: first holds {held}, second got {second.stdout.strip()}")
        first.ack(held)
PY
expect "auto_resume=True: first holds 0, second got [0, 1, 2]
auto_resume=False: first holds 0, second got [1, 2]" "$("$folder/python/bin/python" "$folder/run.py" "$folder")"
