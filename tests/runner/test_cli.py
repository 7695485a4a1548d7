"""The command line of `desk`, without an installation: whose words are whose."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from typer.testing import CliRunner

from runner import control
from runner.cli import app
from runner.installation import Installation


@pytest.fixture
def passed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The service and the words that it was given."""
    told: list[str] = []

    def run(_: Installation, service: str, words: Sequence[str]) -> int:
        told.extend([service, *words])
        return 3

    monkeypatch.setattr(control, "run_service_command", run)
    return told


@pytest.mark.parametrize("words", ["messaging --help", "messaging parked --limit 3", "--help", "load --help -- x"])
def test_what_follows_the_name_of_a_service_is_for_the_service(passed: list[str], words: str) -> None:
    ended = CliRunner().invoke(app, ["service", "sla", *words.split()])
    assert (ended.exit_code, passed) == (3, ["sla", *words.split()])


def test_the_command_itself_explains_itself_before_the_name(passed: list[str]) -> None:
    ended = CliRunner().invoke(app, ["service", "--help"])
    assert ended.exit_code == 0
    assert "Run a command of a service" in ended.stdout
    assert passed == []


@pytest.mark.parametrize(
    ("words", "owner"),
    [
        (("migrate",), True),
        (("messaging", "rebuild", "clocks", "--check"), True),
        (("messaging", "republish"), False),
        (("api",), False),
        ((), False),
    ],
)
def test_only_what_changes_tables_as_their_owner_is_told_its_address(words: tuple[str, ...], owner: bool) -> None:
    assert control.needs_owner(words) is owner
