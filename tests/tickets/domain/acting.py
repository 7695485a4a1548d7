"""Every action of a ticket as the tests of the rules do it, in the simplest way that there is."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from shared.contracts.tickets import TicketEvent
from tests.tickets.domain.tickets import NOTHING_KNOWN, NOW, ticket_in
from tickets.domain.completing import complete
from tickets.domain.escalation import EVERYWHERE
from tickets.domain.link import Link, link, unlink
from tickets.domain.routing import Pattern, Routed
from tickets.domain.ticket import Ticket
from tickets.domain.workflow import Action

LINK = Link("duplicate_of", UUID(int=1), UUID(int=2), UUID(int=8))
DO: dict[Action, Callable[[Ticket], tuple[Ticket, tuple[TicketEvent, ...]]]] = {
    "assign": lambda ticket: ticket.assign("dario"),
    "hand-over": lambda ticket: ticket.hand_over("dario", "salgo de licencia"),
    "join": lambda ticket: ticket.join("dario", "watching", at=NOW),
    "leave": lambda ticket: ticket.leave("ines", "working"),
    "complete": lambda ticket: complete(ticket, ticket.opening.groups, "molinos-gestion", Routed("mesa", Pattern())),
    "escalate": lambda ticket: ticket.escalate(
        UUID(int=7), "analysts" if ticket.target is None else "development", "excede", NOTHING_KNOWN, EVERYWHERE
    ),
    "de-escalate": lambda ticket: ticket.deescalate("falta probarlo", "analistas"),
    "hold": lambda ticket: ticket.hold("third-party", "esperamos a ARCA", at=NOW, now=NOW),
    "release": lambda ticket: ticket.release(at=NOW),
    "respond": lambda ticket: ticket.respond("phone", "lo estamos viendo", at=NOW),
    "note": lambda ticket: ticket.comment("probado en planta"),
    "link": lambda ticket: link(ticket, ticket_in("closed"), LINK, "mismo llamado"),
    "unlink": lambda ticket: unlink(ticket, ticket_in("closed"), LINK, None),
    "resolve": lambda ticket: ticket.resolve("configuracion", "listo", at=NOW),
    "reopen": lambda ticket: ticket.reopen("sigue igual", at=NOW),
    "close": lambda ticket: ticket.close(at=NOW),
    "cancel": lambda ticket: ticket.cancel("era del otro cliente", at=NOW),
}
