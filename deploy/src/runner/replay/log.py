"""An incident log as it was recorded: a CSV, plain or gzipped, with the rows of each incident together."""

from __future__ import annotations

import csv
import gzip
import re
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby, islice
from pathlib import Path
from typing import TextIO

from runner.errors import RunnerError

COLUMNS = ("case", "at", "status", "sub_status", "team", "level", "impact", "product", "country", "resource")

# People and teams of a log have ids that begin so.
OF_THE_LOG = "registro"
LONGEST_PERSON = 100
_UNSPEAKABLE = re.compile(r"[^\x21-\x7e]")


class LogUnreadable(RunnerError):
    """The file is not an incident log that can be replayed."""

    code = "log-unreadable"
    title = "The incident log cannot be read"


@dataclass(frozen=True, slots=True)
class Row:
    """One change of an incident: since when, in which state, with which team of which level, and whom it names."""

    at: datetime
    status: str
    sub_status: str
    team: str
    level: str
    resource: str

    @property
    def person(self) -> str | None:
        """The id of whom it names; None where it names nobody. Unlike that of anybody who really works at the desk."""
        said = _UNSPEAKABLE.sub("-", self.resource.strip().lower())[:LONGEST_PERSON]
        return f"{OF_THE_LOG}.{said}" if said else None


@dataclass(frozen=True, slots=True)
class Incident:
    """One incident with its rows in the order of time; at least one."""

    case: str
    impact: str
    product: str
    country: str
    rows: tuple[Row, ...]

    @property
    def began_at(self) -> datetime:
        """When its first row was written."""
        return self.rows[0].at


def read_incidents(path: Path, limit: int | None = None) -> Iterator[Incident]:
    """The incidents of a file one after the other, in the file's order, at most `limit`. Raises LogUnreadable."""
    with _opened(path) as lines:
        yield from islice(incidents_of(lines), limit)


def incidents_of(lines: Iterable[str]) -> Iterator[Incident]:
    """The incidents of the lines of a CSV. Raises LogUnreadable for what is missing or does not stand together."""
    reader = csv.DictReader(lines, restval="")
    missing = [column for column in COLUMNS if column not in (reader.fieldnames or ())]
    if missing:
        raise LogUnreadable(f"The log has no column {', '.join(missing)}; it needs {', '.join(COLUMNS)}.")
    seen: set[str] = set()
    for case, found in groupby(reader, key=lambda row: row["case"]):
        if case in seen:
            raise LogUnreadable(f"The rows of {case} do not stand together (line {reader.line_num}): sort by case, at.")
        seen.add(case)
        yield _incident(case, list(found))


def _incident(case: str, found: list[dict[str, str]]) -> Incident:
    first = found[0]
    rows = sorted((_row(row) for row in found), key=lambda row: row.at)
    return Incident(case, first["impact"], first["product"], first["country"], tuple(rows))


def _row(row: dict[str, str]) -> Row:
    try:
        at = datetime.fromisoformat(row["at"])
    except ValueError as error:
        raise LogUnreadable(
            f"{row['case']}: {row['at']!r} is not an instant such as 2012-05-11T00:26:15+01:00."
        ) from error
    if at.tzinfo is None:
        raise LogUnreadable(f"{row['case']}: {row['at']!r} does not say its offset from UTC.")
    return Row(at, row["status"], row["sub_status"], row["team"], row["level"], row["resource"])


@contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    try:
        with _text_of(path) as lines:
            yield lines
    except (UnicodeDecodeError, EOFError, OSError, zlib.error, csv.Error) as error:
        raise LogUnreadable(f"{path} cannot be read: {error}.") from error


def _text_of(path: Path) -> TextIO:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8", newline="")
    return path.open(encoding="utf-8", newline="")
