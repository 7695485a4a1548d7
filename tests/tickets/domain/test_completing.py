"""What may be named later, against a plain reading of who belongs to whom; and where the ticket waits then."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.contracts.tickets import Groups, TicketClassified
from shared.errors import Conflict, Invalid
from tests.tickets.domain.tickets import new_ticket, ticket_in
from tickets.domain.completing import (
    AlreadyNamed,
    Naming,
    NothingNamed,
    NothingToComplete,
    asked_of,
    complete,
    completed_groups,
    require_incomplete,
)
from tickets.domain.grouping import Asked, Known, KnownInstallation, KnownModule
from tickets.domain.routing import Pattern, Routed
from tickets.domain.ticket import Ticket

ELSEWHERE = Routed("equipo-gestion", Pattern(product_id="gestion"))
# Which product each belongs to, whose it is (None: anybody's), and whether it is still in use.
PRODUCTS = {"gestion": True, "sueldos": True, "viejo": False}
MODULES: dict[str, tuple[str, str | None, bool]] = {
    "facturacion": ("gestion", None, True), "balanza": ("gestion", "molinos", True),
    "ajeno": ("gestion", "aguero", True), "legajos": ("sueldos", None, True), "antiguo": ("viejo", None, False),
    "vigente": ("viejo", None, True),
}  # fmt: skip
INSTALLATIONS: dict[str, tuple[str, str, bool]] = {
    "norte": ("gestion", "molinos", True), "sur": ("sueldos", "molinos", True), "otra": ("gestion", "aguero", True),
    "cerrada": ("gestion", "molinos", False),
}  # fmt: skip


def known(asked: Asked) -> Known:
    """What the replicas would say."""
    product = PRODUCTS.get(asked.product_id or "")
    module, installation = MODULES.get(asked.module_id or ""), INSTALLATIONS.get(asked.installation_id or "")
    return Known(
        client=None,
        product_retired=None if product is None else not product,
        module=KnownModule(module[0], module[1], not module[2]) if module else None,
        installation=KnownInstallation(installation[1], installation[0], not installation[2]) if installation else None,
    )


def ticket_of(product: str | None, module: str | None, installation: str | None, **changes: Any) -> Ticket:
    groups = Groups(client_id="molinos", product_id=product, module_id=module)
    return replace(new_ticket(groups=groups, installation_id=installation), team="mesa-de-ayuda", **changes)


def named(ticket: Ticket, naming: Naming) -> Ticket:
    """A ticket that is completed so."""
    asked = asked_of(ticket, naming)
    after, _ = complete(ticket, completed_groups(ticket, asked, known(asked)), asked.installation_id, ELSEWHERE)
    return after


def said(ticket: Ticket) -> tuple[str | None, ...]:
    opening = ticket.opening
    return opening.groups.product_id, opening.groups.module_id, opening.installation_id


def is_fine(had: tuple[str | None, ...], new: tuple[str | None, ...]) -> bool:
    """Whether all that is named now is in use and this client's, and all of it is of one product."""
    (product, module, installation), of = new, {had[0], new[0]}
    fine = product is None or PRODUCTS.get(product, False)
    if module is not None:
        belongs, whose, used = MODULES.get(module, ("", None, False))
        fine, of = fine and used and whose in (None, "molinos"), of | {belongs}
    if installation is not None:
        belongs, whose, used = INSTALLATIONS.get(installation, ("", "", False))
        fine, of = fine and used and whose == "molinos", of | {belongs}
    return fine and len(of - {None}) == 1


def some(table: dict[str, Any]) -> st.SearchStrategy[str | None]:
    return st.sampled_from([None, "nadie", *table])


# What a ticket may have: what was in use once stays where it is named.
HAD = st.sampled_from([
    (None, None, None), ("gestion", None, None), ("viejo", None, None), ("gestion", "balanza", None),
    ("gestion", None, "cerrada"), ("viejo", "antiguo", None), ("sueldos", None, "sur"),
])  # fmt: skip


@example(had=("viejo", None, None), new=(None, "vigente", None))
@example(had=("gestion", None, "cerrada"), new=(None, "facturacion", None))
@example(had=("gestion", None, None), new=(None, "legajos", None))
@given(had=HAD, new=st.tuples(some(PRODUCTS), some(MODULES), some(INSTALLATIONS)))
def test_what_is_missing_is_named_when_it_is_in_use_and_fits_what_the_ticket_has(
    had: tuple[str | None, ...], new: tuple[str | None, ...]
) -> None:
    ticket = ticket_of(*had)
    again = any(old and name for old, name in zip(had, new, strict=True))
    if again or not any(new) or not is_fine(had, new):
        with pytest.raises((Conflict, Invalid)) as refused:
            named(ticket, Naming(*new))
        assert isinstance(refused.value, AlreadyNamed) == again
        assert isinstance(refused.value, NothingNamed) == (not any(new))
        return
    after = named(ticket, Naming(*new))
    product = next(each for each in (had[0], new[0], *_products(new)) if each)
    assert said(after) == (product, had[1] or new[1], had[2] or new[2])
    assert (after.version, after.classification, after.status) == (2, 2, "new")


def _products(new: tuple[str | None, ...]) -> list[str]:
    """What the module and the installation that are named belong to."""
    module, installation = MODULES.get(new[1] or ""), INSTALLATIONS.get(new[2] or "")
    return [one[0] for one in (module, installation) if one]


@pytest.mark.parametrize("order", list(permutations(("module_id", "installation_id"))))
def test_in_any_order_the_ticket_says_the_same_and_each_time_is_a_classification_of_its_own(
    order: tuple[str, ...],
) -> None:
    values = {"module_id": "facturacion", "installation_id": "norte"}
    ticket = ticket_of(None, None, None)
    for count, name in enumerate(order, start=2):
        ticket = named(ticket, Naming(**{name: values[name]}))
        assert ticket.classification == count
    assert said(ticket) == ("gestion", "facturacion", "norte")
    with pytest.raises(NothingToComplete, match="T-000001 names its product, module and installation"):
        named(ticket, Naming(product_id="gestion"))


def test_the_product_that_its_module_settled_is_not_named_again() -> None:
    ticket = named(ticket_of(None, None, None), Naming(module_id="facturacion"))
    with pytest.raises(AlreadyNamed, match="T-000001 has product_id gestion: leave it out") as refused:
        named(ticket, Naming(product_id="gestion", installation_id="norte"))
    assert refused.value.extra == {"named": ["product_id"]}


def test_what_is_lacking_is_named_in_the_refusal_of_nothing() -> None:
    with pytest.raises(NothingNamed, match="lacks: module_id, installation_id"):
        named(ticket_of("gestion", None, None), Naming())
    require_incomplete("T-1", Naming("gestion", None, "norte"))


def test_what_nobody_has_goes_to_the_team_that_covers_it_and_the_event_says_by_what() -> None:
    ticket = ticket_of(None, None, None)
    asked = asked_of(ticket, Naming(installation_id="norte"))
    after, (event,) = complete(ticket, completed_groups(ticket, asked, known(asked)), "norte", ELSEWHERE)
    assert isinstance(event, TicketClassified)
    assert (event.product_id, event.module_id, event.installation_id) == ("gestion", None, "norte")
    assert event.rerouted is not None
    assert event.rerouted.model_dump() == {
        "from_team": "mesa-de-ayuda", "client_id": None, "product_id": "gestion", "module_id": None,
    }  # fmt: skip
    assert (after.team, event.ticket) == ("equipo-gestion", after.brief())


@pytest.mark.parametrize(
    ("changes", "team"),
    [
        ({"assignee": "bruno"}, "mesa-de-ayuda"), ({"status": "resolved"}, "mesa-de-ayuda"),
        ({"status": "on_hold"}, "equipo-gestion"), ({"status": "in_progress"}, "equipo-gestion"),
    ],
)  # fmt: skip
def test_what_somebody_has_or_has_settled_stays_and_what_waits_moves(changes: dict[str, Any], team: str) -> None:
    groups = Groups(client_id="molinos", product_id="gestion")
    after, (event,) = complete(ticket_of(None, None, None, **changes), groups, None, ELSEWHERE)
    assert isinstance(event, TicketClassified)
    assert (after.team, event.rerouted is None) == (team, team == "mesa-de-ayuda")


def test_where_the_same_team_covers_it_nothing_is_said_of_routing() -> None:
    groups = Groups(client_id="molinos", product_id="gestion")
    _, (event,) = complete(ticket_of(None, None, None), groups, None, Routed("mesa-de-ayuda", Pattern()))
    assert isinstance(event, TicketClassified)
    assert event.rerouted is None


def test_what_a_state_refuses_comes_before_what_was_named() -> None:
    with pytest.raises(Conflict, match="T-000001 is closed"):
        asked_of(ticket_in("closed"), Naming())
