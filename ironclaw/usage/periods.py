"""Days and months of usage, in the time zone of the process, and the moments at which they begin."""

from datetime import date, datetime, time, timedelta
from typing import Literal

from ironclaw import codec

Period = Literal["day", "month"]


def local_day(moment: datetime) -> date:
    """The day that it is here at *moment*."""
    return moment.astimezone().date()


def start_of(period: Period, day: date) -> date:
    """The first day of the period that *day* is in."""
    return day if period == "day" else day.replace(day=1)


def end_of(period: Period, day: date) -> date:
    """The first day after the period that *day* is in."""
    if period == "day":
        return day + timedelta(days=1)
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1)


def midnight(day: date) -> str:
    """The moment at which *day* begins here, as times are stored. Days on which clocks are put forward count too."""
    return codec.format_time(datetime.combine(day, time()).astimezone())


def last_days(count: int, today: date) -> list[date]:
    """*count* days up to *today*, the oldest first."""
    return [today - timedelta(days=ago) for ago in reversed(range(count))]
