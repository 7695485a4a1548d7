"""Invented incidents in the format of the log, and the reference data that they fall on."""

from __future__ import annotations

from runner.replay.catalogue import Catalogue
from runner.replay.house import Routing
from runner.replay.log import Incident, incidents_of

HEADER = "case,at,status,sub_status,team,level,impact,product,country,resource"
CATALOGUE = Catalogue(
    clients=["acme", "beta", "gama"],
    products=["alfa", "zeta"],
    standard_modules={"alfa": ["alfa-uno"], "zeta": []},
    installed={("beta", "alfa"): ["alfa-dos", "alfa-uno"]},
)

EVERYTHING = {"client_id": None, "product_id": None, "module_id": None}
# A desk with one team for each level.
ROUTING = Routing(
    [
        {"id": team, "target": target, "retired": False, "covers": [EVERYTHING], "members": []}
        for team, target in (("mesa", "call-centre"), ("analistas", "analysts"), ("desarrollo", "development"))
    ]
)


def incident(case: str, *rows: str, impact: str = "Medium", product: str = "PROD1", country: str = "se") -> Incident:
    """Rows as `status/sub-status/level`, one minute apart; `R2! status/…` names R2 instead of nobody, `G2: …` the team
    G2 instead of A1."""
    lines = [HEADER]
    for minute, row in enumerate(rows):
        team, _, rest = row.rpartition(": ")
        person, _, rest = rest.rpartition("! ")
        status, sub_status, level = rest.split("/", 2)
        lines.append(
            f"{case},2012-05-01T10:{minute:02}:00+02:00,{status},{sub_status},{team or 'A1'},{level},{impact},"
            f"{product},{country},{person}"
        )
    return next(incidents_of(lines))
