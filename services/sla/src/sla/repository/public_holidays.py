"""Argentina's public holidays, as far as a package knows them; whoever runs the calendar confirms each year."""

from __future__ import annotations

# Here and not where a year is asked for: it takes a third of a second to import, on a busy machine longer than a
# transaction may idle. Neither consumer nor jobs import this module.
from holidays.countries.argentina import Argentina

from sla.domain.calendar import DatedDay, DayKind

# What the package says of them beside their names. Of the bridge days it knows those that were decreed.
_KINDS: dict[str, DayKind] = {"Feriado con fines turísticos": "puente", "Jueves Santo": "no-laborable"}


def public_holidays(year: int) -> list[DatedDay]:
    """The holidays of a year by date, each with what kind it is."""
    found = Argentina(years=year, language="es")
    return [DatedDay(on, name, _KINDS.get(name, "feriado")) for on, name in sorted(found.items())]
