"""Kafka in: one function per event; reference data fills replicas, the rest is shown on the ticket and kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from shared.contracts.devlink import DevTaskLinked, DevTaskStatusChanged
from shared.contracts.envelope import Received
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
from shared.messaging.reactions import reacts_to
from tickets import commands, projections


@reacts_to(ClientRecorded, many=True)
async def keep_clients(tx: AsyncConnection, events: Sequence[Received[ClientRecorded]]) -> None:
    await projections.apply(tx, events)


@reacts_to(ProductRecorded, many=True)
async def keep_products(tx: AsyncConnection, events: Sequence[Received[ProductRecorded]]) -> None:
    await projections.apply(tx, events)


@reacts_to(ModuleRecorded, many=True)
async def keep_modules(tx: AsyncConnection, events: Sequence[Received[ModuleRecorded]]) -> None:
    await projections.apply(tx, events)


@reacts_to(InstallationRecorded, many=True)
async def keep_installations(tx: AsyncConnection, events: Sequence[Received[InstallationRecorded]]) -> None:
    await projections.apply(tx, events)


@reacts_to(ContractRecorded, many=True)
async def keep_contracts(tx: AsyncConnection, events: Sequence[Received[ContractRecorded]]) -> None:
    await projections.apply(tx, events)


@reacts_to(EnvironmentResolved, many=True)
async def attach_environments(tx: AsyncConnection, events: Sequence[Received[EnvironmentResolved]]) -> None:
    await _show_and_record(tx, events)


@reacts_to(EnvironmentUnknown, many=True)
async def attach_missing_environments(tx: AsyncConnection, events: Sequence[Received[EnvironmentUnknown]]) -> None:
    await _show_and_record(tx, events)


@reacts_to(SlaClockStarted, many=True)
async def show_started_clocks(tx: AsyncConnection, events: Sequence[Received[SlaClockStarted]]) -> None:
    await _show_and_record(tx, events)


@reacts_to(SlaClockPaused, many=True)
async def show_paused_clocks(tx: AsyncConnection, events: Sequence[Received[SlaClockPaused]]) -> None:
    await _show_and_record(tx, events)


@reacts_to(SlaClockResumed, many=True)
async def show_resumed_clocks(tx: AsyncConnection, events: Sequence[Received[SlaClockResumed]]) -> None:
    await _show_and_record(tx, events)


@reacts_to(SlaClockWarned, many=True)
async def show_warned_clocks(tx: AsyncConnection, events: Sequence[Received[SlaClockWarned]]) -> None:
    await _show_and_record(tx, events)


@reacts_to(SlaClockBreached, many=True)
async def show_breached_clocks(tx: AsyncConnection, events: Sequence[Received[SlaClockBreached]]) -> None:
    await _show_and_record(tx, events)


@reacts_to(SlaClockMet, many=True)
async def show_met_clocks(tx: AsyncConnection, events: Sequence[Received[SlaClockMet]]) -> None:
    await _show_and_record(tx, events)


@reacts_to(SlaClockStopped, many=True)
async def show_stopped_clocks(tx: AsyncConnection, events: Sequence[Received[SlaClockStopped]]) -> None:
    await _show_and_record(tx, events)


@reacts_to(DevTaskLinked, many=True)
async def show_linked_tasks(tx: AsyncConnection, events: Sequence[Received[DevTaskLinked]]) -> None:
    await _show_and_record(tx, events)


@reacts_to(DevTaskStatusChanged, many=True)
async def show_moved_tasks(tx: AsyncConnection, events: Sequence[Received[DevTaskStatusChanged]]) -> None:
    await _show_and_record(tx, events)


async def _show_and_record(tx: AsyncConnection, events: Sequence[Received[Any]]) -> None:
    """What another service did about tickets: into the read model, and into the history."""
    await projections.apply(tx, events)
    await commands.record_reactions(tx, events)
