"""A real incident log through the public APIs: everything that was opened is complete, counted by the APIs and below.

`DESK_INCIDENT_LOG` names the file; without it there is nothing to play, and the summary says so.
"""

from __future__ import annotations

import os
from pathlib import Path

from runner.replay import replay
from runner.replay.log import read_incidents
from tests.support.counting import escalations, require_complete, require_order
from tests.support.system import System

INCIDENT_LOG = os.environ.get("DESK_INCIDENT_LOG")
INCIDENTS = 500

if INCIDENT_LOG:

    async def test_five_hundred_incidents_of_a_real_log_are_complete(system: System) -> None:
        counts = await replay(
            system.urls(), system.token, read_incidents(Path(str(INCIDENT_LOG)), INCIDENTS), concurrency=8
        )
        assert counts.tickets == INCIDENTS
        assert counts.disagreements() == []
        opened = [str(row["id"]) for row in await system.rows("tickets", "SELECT id FROM tickets.tickets")]
        escalated = await escalations(system)
        assert escalated, "the log hands incidents to the third level"
        await require_complete(system, opened, escalated)
        await require_order(system)
