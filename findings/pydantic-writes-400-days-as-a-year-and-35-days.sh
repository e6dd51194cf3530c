#!/usr/bin/env bash
# Guess: a timedelta is an exact length, so pydantic writes it in exact units (days, hours, seconds).
# Seen:  pydantic 2.14.4 writes 400 days as `P1Y35D` and 730 days as `P2Y`, and reads a year as 365 days and a month as 30. In
#        ISO 8601 a year is one of the calendar: luxon 3.7.2 and isodate 0.7.2 add it to 1 January 2028 and arrive
#        one day later than Python, which added 400 days.
# Matters: deadlines, time to live and retention that a Python worker sends as JSON are a day longer or shorter at a worker in
#        another language, but only from one year on, and only across a 29 February.
source "$(dirname "$0")/common"
python_with pydantic==2.14.4 isodate==0.7.2
node_with luxon@3.7.2

cat >"$folder/write.py" <<'PY'
import datetime
import isodate
from pydantic import TypeAdapter

adapter = TypeAdapter(datetime.timedelta)
start = datetime.datetime(2028, 1, 1)
for days in (364, 365, 400, 730):
    text = adapter.dump_python(datetime.timedelta(days=days), mode="json")
    print(text, (start + datetime.timedelta(days=days)).date(), (start + isodate.parse_duration(text)).date())
PY
cat >"$folder/read.js" <<'JS'
const { DateTime, Duration } = require('luxon');
for (const line of require('fs').readFileSync(0, 'utf8').trim().split('\n')) {
  const [text, pydantic, isodate] = line.split(' ');
  const luxon = DateTime.utc(2028, 1, 1).plus(Duration.fromISO(text)).toISODate();
  console.log(`${text} pydantic ${pydantic} isodate ${isodate} luxon ${luxon}`);
}
JS
expect 'P364D pydantic 2028-12-30 isodate 2028-12-30 luxon 2028-12-30
P1Y pydantic 2028-12-31 isodate 2029-01-01 luxon 2029-01-01
P1Y35D pydantic 2029-02-04 isodate 2029-02-05 luxon 2029-02-05
P2Y pydantic 2029-12-31 isodate 2030-01-01 luxon 2030-01-01' "$(cd "$folder" && python/bin/python write.py | node read.js)"
