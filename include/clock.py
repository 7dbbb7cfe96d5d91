"""as_of, worked out once: the day before which everything is known."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from include.errors import InputError


def business_day(moment: datetime, time_zone: str) -> date:
    """The calendar day of ``moment`` (with an offset) in the business's time zone."""
    return moment.astimezone(ZoneInfo(time_zone)).date()


def midnight(day: date, time_zone: str) -> datetime:
    """The moment at which ``day`` begins in the business's time zone."""
    return datetime.combine(day, datetime.min.time(), ZoneInfo(time_zone))


def as_of(
    run_after: datetime, *, given: str | None, newest_order: datetime | None, time_zone: str
) -> date:
    """The day of a run: nothing dated on or after its midnight is seen.

    The earlier of the run's own day and the day after the newest landed order, so that historic
    data is right and a silent source ages nobody. A given day wins.

    Parameters
    ----------
    run_after : when the run was due, with an offset.
    given : an ISO day of a form or a command, or None.
    newest_order : the newest order that was landed, or None when there is none.
    time_zone : of the business.

    Raises
    ------
    InputError
        If the given day is no day, or after the day of this run.
    """
    today = business_day(run_after, time_zone)
    if given:
        try:
            chosen = date.fromisoformat(given)
        except ValueError as error:
            raise InputError(f"as_of {given!r} is no day: write it as 2026-03-01") from error
        if chosen > today:
            raise InputError(
                f"as_of {given} is after {today}, the day of this run: give an earlier day or none"
            )
        return chosen
    if newest_order is None:
        return today
    return min(today, business_day(newest_order, time_zone) + timedelta(days=1))


def stale_reason(
    day: date, run_after: datetime, *, newest_order: datetime | None, time_zone: str
) -> str | None:
    """Why the tables of ``day`` are not those of the run's own day, in words; None when they are.

    ``newest_order`` is the newest of all landed orders; one of yesterday is fresh.
    """
    today = business_day(run_after, time_zone)
    if day >= today:
        return None
    newest = business_day(newest_order, time_zone) if newest_order else None
    if newest is None:
        return "no order has landed"
    gap_days = (today - newest).days
    if gap_days > 1:
        return f"the newest landed order is of {newest}, {gap_days} days before this run"
    return f"this is the past day {day}, though orders have landed to {newest}"


SHIFTS = [timedelta(minutes=minutes) for minutes in range(0, 181, 15)]
"""Before or after a moment; no clock is set by more than three hours."""


def earliest_local(moment: datetime, time_zone: str) -> datetime:
    """A local time, without offset, that no clock shows again after ``moment``.

    On the night that an hour is repeated, a later moment may have an earlier local time: a
    lower bound on local times has to stand before the repeated hour.
    """
    zone = ZoneInfo(time_zone)
    later = [_quarter(moment) + shift for shift in SHIFTS[1:]]
    return min(each.astimezone(zone).replace(tzinfo=None) for each in (moment, *later))


def latest_local(moment: datetime, time_zone: str) -> datetime:
    """A local time, without offset, that no clock has shown before ``moment``."""
    zone, tick = ZoneInfo(time_zone), timedelta(microseconds=1)
    earlier = [_quarter(moment) - shift for shift in SHIFTS]
    return max(
        (each.astimezone(UTC) - tick).astimezone(zone).replace(tzinfo=None) + tick
        for each in (moment, *earlier)
    )


def _quarter(moment: datetime) -> datetime:
    """The quarter hour that ``moment`` lies in: zones are set forward or back on one."""
    quarter = moment.astimezone(UTC).replace(second=0, microsecond=0)
    return quarter - timedelta(minutes=quarter.minute % 15)


def next_run(cron: str | None, after: datetime) -> datetime | None:
    """When a schedule is due next, in UTC as Airflow reads it; None without one."""
    from croniter import croniter

    if cron is None:
        return None
    moment: datetime = croniter(cron, after.astimezone(UTC)).get_next(datetime)
    return moment
