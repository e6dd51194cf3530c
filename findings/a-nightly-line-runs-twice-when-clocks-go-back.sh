#!/usr/bin/env bash
# Guess: `30 2 * * *` in Berlin runs once on each of the two days on which clocks change, at the same moment in each library.
# Seen:  when clocks go back (31 October 2027), croniter 7.0.0 runs it twice; cronsim 2.8, croner 11.0.1, cron-parser 5.10.6
#        and cron 4.4.0 once. When they go forward (28 March), 2:30 does not exist: all run at 3:00, cron-parser at 3:30.
#        `*/30 2 * * *` on that day runs two times, once or not at all.
# Matters: a nightly batch or bill runs twice in one night of the year, and two schedulers of one system (one in Python, one in
#        Node) disagree on that night only.
source "$(dirname "$0")/common"
python_with croniter==7.0.0 cronsim==2.8 tzdata==2026.1
node_with croner@11.0.1 cron-parser@5.10.6 cron@4.4.0

cat >"$folder/run.py" <<'PY'
import datetime
import zoneinfo
from croniter import croniter
from cronsim import CronSim

berlin = zoneinfo.ZoneInfo("Europe/Berlin")
makers = {"croniter": lambda line, start: croniter(line, start).all_next(datetime.datetime), "cronsim": CronSim}
for line, day in (("30 2 * * *", (2027, 10, 30)), ("30 2 * * *", (2027, 3, 27)), ("*/30 2 * * *", (2027, 3, 27))):
    start = datetime.datetime(*day, 12, tzinfo=berlin)
    for name, make in makers.items():
        night = []
        for moment in make(line, start):
            if moment.date() > (start + datetime.timedelta(days=1)).date():
                break
            night.append(f"{moment.astimezone(datetime.timezone.utc):%H:%M}")
        print(line, start.date(), name, night)
PY
cat >"$folder/run.mjs" <<'JS'
import { CronTime } from 'cron';
import { CronExpressionParser } from 'cron-parser';
import { Cron } from 'croner';

const zone = 'Europe/Berlin';
const makers = {
  croner: (line) => {
    const schedule = new Cron(line, { timezone: zone });
    return (moment) => schedule.nextRun(moment);
  },
  'cron-parser': (line, start) => {
    const schedule = CronExpressionParser.parse(line, { currentDate: start, tz: zone });
    return () => schedule.next().toDate();
  },
  cron: (line) => {
    const schedule = new CronTime(line, zone);
    return (moment) => schedule.getNextDateFrom(moment, zone).toJSDate();
  },
};
for (const [line, day] of [['30 2 * * *', '2027-10-30'], ['30 2 * * *', '2027-03-27'], ['*/30 2 * * *', '2027-03-27']]) {
  const start = new Date(`${day}T10:00:00Z`);
  for (const [name, make] of Object.entries(makers)) {
    const next = make(line, start);
    const night = [];
    for (let moment = next(start); moment - start < 86_400_000; moment = next(moment)) night.push(moment.toISOString().slice(11, 16));
    console.log(line, day, name, JSON.stringify(night));
  }
}
JS
expect "30 2 * * * 2027-10-30 croniter ['00:30', '01:30']
30 2 * * * 2027-10-30 cronsim ['00:30']
30 2 * * * 2027-03-27 croniter ['01:00']
30 2 * * * 2027-03-27 cronsim ['01:00']
*/30 2 * * * 2027-03-27 croniter ['01:00']
*/30 2 * * * 2027-03-27 cronsim []
30 2 * * * 2027-10-30 croner [\"00:30\"]
30 2 * * * 2027-10-30 cron-parser [\"00:30\"]
30 2 * * * 2027-10-30 cron [\"00:30\"]
30 2 * * * 2027-03-27 croner [\"01:00\"]
30 2 * * * 2027-03-27 cron-parser [\"01:30\"]
30 2 * * * 2027-03-27 cron [\"01:00\"]
*/30 2 * * * 2027-03-27 croner []
*/30 2 * * * 2027-03-27 cron-parser [\"01:00\",\"01:30\"]
*/30 2 * * * 2027-03-27 cron [\"01:00\"]" "$(cd "$folder" && python/bin/python run.py && node run.mjs)"
