"""The block of text that support writes into a task."""

from __future__ import annotations

from devlink.domain.block import support_block
from shared.contracts.tickets import Groups
from tests.devlink.scene import escalated


def test_the_block_tells_all_that_a_developer_would_ask() -> None:
    assert support_block(escalated(number=42).data) == (
        "Motivo: Se reproduce en la 7.4.2\n"
        "\n"
        "Desde la actualización del lunes.\n"
        "\n"
        "Ticket: T-000042 (incidente), severidad 2, prioridad 3\n"
        "Cliente: arenales\n"
        "Producto: kontar\n"
        "Módulo: kontar-corte\n"
        "Entorno: arenales-kontar, versión 7.4.2\n"
        "Módulos a medida: kontar-corte\n"
        "Vence: 25/11/2026 18:00"
    )


def test_what_nobody_knows_is_said_to_be_unknown() -> None:
    known = escalated().data
    unknown = known.model_copy(
        update={
            "description": "",
            "ticket": known.ticket.model_copy(update={"kind": "question", "groups": Groups(client_id=None)}),
            "environment": None,
            "resolution_due_at": None,
        }
    )
    assert support_block(unknown) == (
        "Motivo: Se reproduce en la 7.4.2\n"
        "\n"
        "Ticket: T-000001 (consulta), severidad 2, prioridad 3\n"
        "Cliente: sin identificar\n"
        "Producto: sin identificar\n"
        "Módulo: sin identificar\n"
        "Entorno: desconocido"
    )


def test_a_kind_that_nobody_knows_yet_is_said_as_it_is() -> None:
    known = escalated().data
    later = known.model_copy(update={"ticket": known.ticket.model_copy(update={"kind": "feature-request"})})
    assert "Ticket: T-000001 (feature-request), severidad 2, prioridad 3\n" in support_block(later)
