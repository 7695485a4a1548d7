"""What devlink keeps of others: every ticket as it is now."""

from __future__ import annotations

from shared.projection import Projections
from shared.ticket_replica import OF_TICKETS

PROJECTIONS = Projections("devlink", OF_TICKETS)
