"""The README shows the states as the table of actions has them."""

from __future__ import annotations

from tests.support.databases import CHECKOUT
from tickets.domain.picture import state_picture

README = CHECKOUT / "services" / "tickets" / "README.md"


def test_the_readme_shows_the_states_as_the_table_has_them() -> None:
    drawn = f"```mermaid\n{state_picture()}\n```\n"
    assert drawn in README.read_text(encoding="utf-8"), f"put this into {README}:\n{drawn}"


def test_the_picture_has_an_arrow_for_each_way_from_one_state_to_another() -> None:
    assert state_picture().splitlines() == [
        "stateDiagram-v2",
        "    [*] --> new: open",
        "    new --> in_progress: assign, escalate, de-escalate, respond",
        "    new --> on_hold: hold",
        "    new --> resolved: resolve",
        "    new --> cancelled: cancel",
        "    in_progress --> on_hold: hold",
        "    in_progress --> resolved: resolve",
        "    in_progress --> cancelled: cancel",
        "    on_hold --> in_progress: release",
        "    on_hold --> resolved: resolve",
        "    on_hold --> cancelled: cancel",
        "    resolved --> in_progress: reopen",
        "    resolved --> closed: close",
        "    closed --> in_progress: reopen",
        "    closed --> [*]",
        "    cancelled --> [*]",
    ]
