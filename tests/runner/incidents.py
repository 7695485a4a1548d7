"""Invented incidents in the format of the log, and the reference data that they fall on."""

from __future__ import annotations

from runner.replay.catalogue import Catalogue
from runner.replay.log import Incident, incidents_of

HEADER = "case,at,status,sub_status,team,level,impact,product,country,resource"
CATALOGUE = Catalogue(
    clients=["acme", "beta", "gama"],
    products=["alfa", "zeta"],
    standard_modules={"alfa": ["alfa-uno"], "zeta": []},
    installed={("beta", "alfa"): ["alfa-dos", "alfa-uno"]},
)


def incident(case: str, *rows: str, impact: str = "Medium", product: str = "PROD1") -> Incident:
    """Rows as `status/sub-status/level`, one minute apart."""
    lines = [HEADER]
    for minute, row in enumerate(rows):
        status, sub_status, level = row.split("/", 2)
        lines.append(
            f"{case},2012-05-01T10:{minute:02}:00+02:00,{status},{sub_status},A1,{level},{impact},{product},se,R1"
        )
    return next(incidents_of(lines))
