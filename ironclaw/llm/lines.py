"""Cuts a byte stream into lines, however it was cut before. What the lines mean is known to the protocols."""

LONGEST_LINE = 8 * 1024 * 1024  # bytes


class LineTooLong(ValueError):  # noqa: N818 - an error by its base
    """A line has more bytes than the limit."""


class LineSplitter:
    """Takes bytes in any pieces and gives whole lines, without their LF or CRLF. It never holds more than one line."""

    def __init__(self, limit: int = LONGEST_LINE) -> None:
        self._limit = limit
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that *data* completes. Raises `LineTooLong`."""
        first, *more = data.split(b"\n")
        self._rest += first
        if max(len(self._rest), *map(len, more), 0) > self._limit:
            raise LineTooLong
        if not more:
            return []
        lines = [bytes(self._rest), *more[:-1]]
        self._rest = bytearray(more[-1])
        return [line.removesuffix(b"\r") for line in lines]

    def rest(self) -> bytes:
        """What came after the last line end; it is given once."""
        rest, self._rest = bytes(self._rest), bytearray()
        return rest
