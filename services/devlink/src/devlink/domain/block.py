"""The block of text that support writes into a task: what a developer has to know, in the desk's language."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from shared.contracts.tickets import TicketEscalated

_ZONE = ZoneInfo("America/Argentina/Buenos_Aires")
_KINDS = {"incident": "incidente", "question": "consulta"}


def support_block(escalation: TicketEscalated) -> str:
    """Why support asks, what the client sees, where it runs and until when: one block, written once per escalation."""
    parts = [f"Motivo: {escalation.reason}", escalation.description, "\n".join(_facts(escalation))]
    return "\n\n".join(part for part in parts if part)


def _facts(escalation: TicketEscalated) -> list[str]:
    ticket, environment = escalation.ticket, escalation.environment
    groups = ticket.groups
    facts = [
        f"Ticket: {ticket.number} ({_KINDS.get(ticket.kind, ticket.kind)}), severidad {ticket.severity}, "
        f"prioridad {ticket.priority}",
        f"Cliente: {groups.client_id or 'sin identificar'}",
        f"Producto: {groups.product_id or 'sin identificar'}",
        f"Módulo: {groups.module_id or 'sin identificar'}",
    ]
    if environment is None:
        facts.append("Entorno: desconocido")
    else:
        customised = ", ".join(environment.customised_modules) or "ninguno"
        facts.append(f"Entorno: {environment.installation_id}, versión {environment.product_version}")
        facts.append(f"Módulos a medida: {customised}")
    if escalation.resolution_due_at is not None:
        facts.append(f"Vence: {_local(escalation.resolution_due_at)}")
    return facts


def _local(at: datetime) -> str:
    return at.astimezone(_ZONE).strftime("%d/%m/%Y %H:%M")
