"""What a benchmark hands back: tables of figures, and the small statistics that they are made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from hdrh.histogram import HdrHistogram

Cell = str | int | float | None

# Microseconds, to three digits: from one to ten minutes.
_LONGEST_MICROSECONDS = 600_000_000


@dataclass
class Table:
    """Figures under one title. `notes` say how they were measured and what they do not show."""

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[Cell, ...]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    # Whole distributions, so that runs can be laid over each other later: HdrHistogram's own encoding, microseconds.
    histograms: dict[str, str] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """The table as it is written into the file of results."""
        return {
            "title": self.title,
            "rows": [dict(zip(self.columns, row, strict=True)) for row in self.rows],
            "notes": self.notes,
            **({"histograms": self.histograms} if self.histograms else {}),
        }

    def text(self) -> str:
        """The table as it is printed."""
        shown = [self.columns, *[tuple(_shown(cell) for cell in row) for row in self.rows]]
        widths = [max(len(row[index]) for row in shown) for index in range(len(self.columns))]
        lines = ["  ".join(_placed(cell, width) for cell, width in zip(row, widths, strict=True)) for row in shown]
        lines.insert(1, "  ".join("-" * width for width in widths))
        return "\n".join([f"\n== {self.title}", *lines, *[f"   {note}" for note in self.notes]])


def histogram(milliseconds: Iterable[float]) -> HdrHistogram:
    """The distribution of what was measured; give it every value, waiting included (open loop)."""
    made = HdrHistogram(1, _LONGEST_MICROSECONDS, 3)
    for value in milliseconds:
        made.record_value(min(_LONGEST_MICROSECONDS, max(1, round(value * 1000))))
    return made


def percentile(milliseconds: Sequence[float], percent: float) -> float | None:
    """The value that `percent` of all do not exceed, in milliseconds; None without values."""
    return histogram(milliseconds).get_value_at_percentile(percent) / 1000 if milliseconds else None


def spread(milliseconds: Sequence[float]) -> tuple[Cell, Cell, Cell]:
    """p50, p95 and p99 in milliseconds."""
    return tuple(percentile(milliseconds, percent) for percent in (50, 95, 99))  # type: ignore[return-value]


def middle(values: Iterable[float | None]) -> float | None:
    """The median of several rounds, without those that have no value."""
    present = [value for value in values if value is not None]
    return median(present) if present else None


def ratio(value: float | None, floor: float | None) -> float | None:
    """How much of the floor was reached."""
    return value / floor if value is not None and floor else None


def _shown(cell: Cell) -> str:
    if cell is None:
        return "-"
    if isinstance(cell, float):
        return f"{cell:,.0f}" if abs(cell) >= 1000 else f"{cell:.1f}" if abs(cell) >= 10 else f"{cell:.2f}"
    return f"{cell:,}" if isinstance(cell, int) else cell


def _placed(cell: str, width: int) -> str:
    return cell.rjust(width) if cell[:1].isdigit() or cell == "-" else cell.ljust(width)
