"""Keeps the same line from filling the log: after some within a while the rest are only counted, and told in one line."""

from ironclaw.logs.lines import LogLine

_WHILE = 10.0  # seconds
_FREE = 20  # times that the same line is written within a while
_MOST_KEPT = 500


class _Seen:
    __slots__ = ("last", "more", "until", "written")

    def __init__(self, until: float, last: LogLine) -> None:
        self.until = until
        self.last = last
        self.written = 1
        self.more = 0


class Repeats:
    """What was written lately. All times are seconds of one clock."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, int, str], _Seen] = {}
        self.waiting = False
        """Whether some line has been counted and not told yet."""

    def admit(self, line: LogLine, now: float) -> bool:
        """Whether to write *line*; if not, it is counted."""
        key = (line.logger, line.number, line.message)
        seen = self._seen.get(key)
        if seen is None or (now >= seen.until and not seen.more):
            if len(self._seen) >= _MOST_KEPT:
                self._forget(now)
            self._seen[key] = _Seen(now + _WHILE, line)
            return True
        seen.last = line
        if seen.written < _FREE:
            seen.written += 1
            return True
        seen.more += 1
        self.waiting = True
        return False

    def _forget(self, now: float) -> None:
        kept = {key: seen for key, seen in self._seen.items() if seen.more or now < seen.until}
        self._seen = kept if len(kept) < _MOST_KEPT else {key: seen for key, seen in kept.items() if seen.more}

    def told(self, now: float, *, all_of_them: bool = False) -> list[LogLine]:
        """One line for each that was counted, once its while is over."""
        if not self.waiting:
            return []
        over = [key for key, seen in self._seen.items() if seen.more and (all_of_them or now >= seen.until)]
        ended = [self._seen.pop(key) for key in over]
        self.waiting = any(seen.more for seen in self._seen.values())
        return [
            LogLine(
                number=seen.last.number,
                created=seen.last.created,
                logger=seen.last.logger,
                message=f"{seen.more} more times: {seen.last.message}",
            )
            for seen in ended
        ]
