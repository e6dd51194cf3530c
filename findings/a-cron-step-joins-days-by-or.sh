#!/usr/bin/env bash
# Guess: a library that joins day of month and weekday by "or", as cron does, also does as cron does with `*/2`: a field
#        that begins with a star is no restriction, so both must hold.
# Seen:  for `0 0 */2 * 1` (every other day, if it is a Monday) cronsim 2.8 follows Debian's cron: 27 runs in 2027. croniter
#        7.0.0, croner 11.0.1, cron-parser 5.10.6 and cron 4.4.0 join by "or": 211 runs. For `0 0 1-31 * 1` all but
#        cron run each day (365); cron takes the full range for a star: 52 runs.
# Matters: a crontab line moved to a scheduler of agents starts eight times as much work, and two schedulers of one system
#        disagree.
source "$(dirname "$0")/common"
python_with croniter==7.0.0 cronsim==2.8
node_with croner@11.0.1 cron-parser@5.10.6 cron@4.4.0

cat >"$folder/run.py" <<'PY'
import datetime
from croniter import croniter
from cronsim import CronSim

start = datetime.datetime(2026, 12, 31, 23, 59, 59)
makers = {"croniter": lambda line: croniter(line, start).all_next(datetime.datetime), "cronsim": lambda line: CronSim(line, start)}
for line in ("0 0 */2 * 1", "0 0 1 * */2", "0 0 1-31 * 1"):
    for name, make in makers.items():
        runs = 0
        for moment in make(line):
            if moment.year > 2027:
                break
            runs += 1
        print(line, "|", name, runs)
PY
cat >"$folder/run.mjs" <<'JS'
import { CronTime } from 'cron';
import { CronExpressionParser } from 'cron-parser';
import { Cron } from 'croner';

const start = new Date('2026-12-31T23:59:59Z');
const makers = {
  croner: (line) => {
    const schedule = new Cron(line, { timezone: 'UTC' });
    return (moment) => schedule.nextRun(moment);
  },
  'cron-parser': (line) => {
    const schedule = CronExpressionParser.parse(line, { currentDate: start, tz: 'UTC' });
    return () => schedule.next().toDate();
  },
  cron: (line) => {
    const schedule = new CronTime(line, 'UTC');
    return (moment) => schedule.getNextDateFrom(moment, 'UTC').toJSDate();
  },
};
for (const line of ['0 0 */2 * 1', '0 0 1 * */2', '0 0 1-31 * 1']) {
  for (const [name, make] of Object.entries(makers)) {
    const next = make(line);
    let runs = 0;
    for (let moment = next(start); moment.getUTCFullYear() < 2028; moment = next(moment)) runs += 1;
    console.log(line, '|', name, runs);
  }
}
JS
expect '0 0 */2 * 1 | croniter 211
0 0 */2 * 1 | cronsim 27
0 0 1 * */2 | croniter 215
0 0 1 * */2 | cronsim 5
0 0 1-31 * 1 | croniter 365
0 0 1-31 * 1 | cronsim 365
0 0 */2 * 1 | croner 211
0 0 */2 * 1 | cron-parser 211
0 0 */2 * 1 | cron 211
0 0 1 * */2 | croner 215
0 0 1 * */2 | cron-parser 215
0 0 1 * */2 | cron 215
0 0 1-31 * 1 | croner 365
0 0 1-31 * 1 | cron-parser 365
0 0 1-31 * 1 | cron 52' "$(cd "$folder" && python/bin/python run.py && node run.mjs)"
