"""A real incident log through the public APIs: everything that was opened is complete, counted by the APIs and below.

`DESK_INCIDENT_LOG` names the file; without it there is nothing to play, and the summary says so.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from runner.replay import replay
from runner.replay.log import read_incidents
from tests.support.counting import escalations, require_complete, require_order
from tests.support.system import System

INCIDENT_LOG = os.environ.get("DESK_INCIDENT_LOG")

if INCIDENT_LOG:

    @pytest.mark.parametrize(
        "incidents", [150, pytest.param(500, marks=[pytest.mark.verify, pytest.mark.timeout(900)])]
    )
    async def test_so_many_incidents_of_a_real_log_are_complete(system: System, incidents: int) -> None:
        log = read_incidents(Path(str(INCIDENT_LOG)), incidents)
        counts = await replay(system.urls(), system.token, log, concurrency=8)
        assert counts.tickets == incidents
        assert counts.disagreements() == []
        opened = [str(row["id"]) for row in await system.rows("tickets", "SELECT id FROM tickets.tickets")]
        escalated = await escalations(system)
        assert escalated, "the log hands incidents to the third level"
        await require_complete(system, opened, escalated)
        await require_order(system)
