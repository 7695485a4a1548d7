"""Kafka in: reference data fills replicas; what the others do about a ticket is shown on it and kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shared.contracts.devlink import DevTaskLinked, DevTaskStatusChanged
from shared.contracts.envelope import Received, StateRecord
from shared.contracts.inventory import (
    ClientRecorded,
    EnvironmentResolved,
    EnvironmentUnknown,
    InstallationRecorded,
    ModuleRecorded,
    ProductRecorded,
)
from shared.contracts.sla import (
    ContractRecorded,
    SlaClockBreached,
    SlaClockMet,
    SlaClockPaused,
    SlaClockResumed,
    SlaClockStarted,
    SlaClockStopped,
    SlaClockWarned,
)
from shared.db.transaction import Transaction
from shared.messaging.reactions import reacts_to
from tickets import commands, projections


@reacts_to(ClientRecorded, ProductRecorded, ModuleRecorded, InstallationRecorded, ContractRecorded, many=True)
async def keep_reference_data(tx: Transaction, events: Sequence[Received[StateRecord]]) -> None:
    """Replicas of what the others own, so that a ticket can be opened while all of them are down."""
    await projections.apply(tx, events)


@reacts_to(
    EnvironmentResolved,
    EnvironmentUnknown,
    SlaClockStarted,
    SlaClockPaused,
    SlaClockResumed,
    SlaClockWarned,
    SlaClockBreached,
    SlaClockMet,
    SlaClockStopped,
    DevTaskLinked,
    DevTaskStatusChanged,
    many=True,
)
async def show_and_record(tx: Transaction, events: Sequence[Received[Any]]) -> None:
    """What another service did about tickets: into the read model, and into the history."""
    await projections.apply(tx, events)
    await commands.record_reactions(tx, events)
