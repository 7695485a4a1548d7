"""Which installation a ticket is about: found when only one can be meant, never guessed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from shared.contracts.inventory import InstalledModule, UnknownReason


@dataclass(frozen=True)
class Installation:
    """An installation in use as it stands now, with the names that people read."""

    id: str
    client_id: str
    product_id: str
    product_name: str
    product_version: str
    site: str | None
    modules: tuple[InstalledModule, ...]
    changed_at: datetime


@dataclass(frozen=True)
class Resolved:
    """The ticket is about this installation."""

    installation: Installation


@dataclass(frozen=True)
class Unknown:
    """Nobody can say which installation it is; `candidates` are the ids of those that it could be, sorted."""

    reason: UnknownReason
    candidates: tuple[str, ...] = ()


def resolve(
    *,
    client_id: str | None,
    product_id: str | None,
    installation_id: str | None,
    installations: Sequence[Installation] | None,
) -> Resolved | Unknown:
    """The installation that a ticket is about.

    `installations` are those in use at the client, None when the inventory does not know the client. An installation
    that the caller named counts even if the product does not agree: the installation is the more exact answer.
    Otherwise the client must have exactly one (of the product, when it was said): "no sé" is an answer, a guess is not.
    """
    if client_id is None:
        return Unknown("client-not-identified")
    if installations is None:
        return Unknown("client-unknown")
    possible = [one for one in installations if product_id in (None, one.product_id)]
    if installation_id is not None:
        named = next((one for one in installations if one.id == installation_id), None)
        if named is None:
            return Unknown("installation-of-another-client", _ids(possible))
        return Resolved(named)
    if not possible:
        return Unknown("no-installation")
    if len(possible) > 1:
        return Unknown("several-installations", _ids(possible))
    return Resolved(possible[0])


def _ids(installations: Sequence[Installation]) -> tuple[str, ...]:
    return tuple(sorted(one.id for one in installations))
