#!/usr/bin/env bash
# Guess: task queues read `0 0 1 * 1` as cron does: on the 1st of a month, and on Mondays; 7 is Sunday.
# Seen:  Celery 5.7.0 and huey 3.5.4 demand both (the 1st only where it is a Monday), APScheduler 3.11.3 demands both too,
#        and its 1 is Tuesday, also in `from_crontab`. Sunday as 7 is an error in Celery and APScheduler, and Sunday in huey.
# Matters: who moves a schedule from crontab to a queue gets 1 to 3 runs a year instead of 61, or the wrong weekday, and
#        hears nothing of it. The libraries for Rust that we looked at (croner) do as cron does.
source "$(dirname "$0")/common"
python_with celery==5.7.0 huey==3.5.4 apscheduler==3.11.3

cat >"$folder/run.py" <<'PY'
import datetime
from apscheduler.triggers.cron import CronTrigger
from celery.schedules import crontab as celery_crontab
from huey import crontab as huey_crontab

utc = datetime.timezone.utc
days = [datetime.datetime(2027, 1, 1, tzinfo=utc) + datetime.timedelta(days=day) for day in range(365)]


def celery_next():
    start = datetime.datetime(2027, 1, 1, 0, 0, 1, tzinfo=utc)
    schedule = celery_crontab(minute=0, hour=0, day_of_month="1", day_of_week="1", nowfun=lambda: start)
    return (start + schedule.remaining_estimate(start)).date()


def apscheduler(line):
    trigger, fired, moment = CronTrigger.from_crontab(line, timezone="UTC"), [], None
    while (moment := trigger.get_next_fire_time(moment, moment or days[0])) and moment <= days[-1]:
        fired.append(moment)
        moment += datetime.timedelta(seconds=1)
    return fired


huey = huey_crontab(minute="0", hour="0", day="1", day_of_week="1")
print("cron       ", sum(moment.day == 1 or moment.weekday() == 0 for moment in days))
print("celery     ", "next:", celery_next())
print("huey       ", [f"{moment:%a %d %b}" for moment in days if huey(moment.replace(tzinfo=None))])
print("apscheduler", [f"{moment:%a %d %b}" for moment in apscheduler("0 0 1 * 1")])
for name, make in (
    ("celery", lambda: sorted(celery_crontab(day_of_week="7").day_of_week)),
    ("huey", lambda: {f"{m:%A}" for m in days if huey_crontab(minute="0", hour="0", day_of_week="7")(m.replace(tzinfo=None))}),
    ("apscheduler", lambda: apscheduler("0 0 * * 7")),
):
    try:
        print("7 in", name, make())
    except ValueError as error:
        print("7 in", name, "ValueError")
PY
expect "cron        61
celery      next: 2027-02-01
huey        ['Mon 01 Feb', 'Mon 01 Mar', 'Mon 01 Nov']
apscheduler ['Tue 01 Jun']
7 in celery ValueError
7 in huey {'Sunday'}
7 in apscheduler ValueError" "$("$folder/python/bin/python" "$folder/run.py")"
