"""The script that sets rights on Kafka, where something goes wrong: tools that fail, odd names, a signal in between."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from shared.contracts.consumers import services
from tests.support.kafka_tools import run_script

# As Kafka's tools, without Kafka: each call becomes a line, and some fail as a broker makes them fail.
TOOL = """#!/bin/sh
name=$(basename "$0")
shift 4
echo "$name $*" >> "$CALLS"
case "$name $*" in
  $BREAKS) echo "Error while executing ACL command: Timed out waiting for a node"; exit 1 ;;
  *--list) [ -z "$SIGNAL" ] || { kill -s "$SIGNAL" "$PPID"; sleep 0.2; } ;;
esac
"""
NOTHING = "nothing at all"


class Script:
    """Runs the script with these tools."""

    def __init__(self, folder: Path) -> None:
        self.tools, self.folder, self.noted = folder / "tools", folder / "passwords", folder / "calls"
        self.tools.mkdir()
        self.folder.mkdir()
        for name in ("kafka-acls.sh", "kafka-configs.sh"):
            (self.tools / name).write_text(TOOL, encoding="utf-8")
            (self.tools / name).chmod(0o755)
        self.passwords: Mapping[str, str] = dict.fromkeys(services(), "of no interest")

    def run(self, outsiders: str = "", breaks: str = NOTHING, signal: str = "") -> subprocess.CompletedProcess[str]:
        told = {"CALLS": str(self.noted), "BREAKS": breaks, "SIGNAL": signal}
        done = run_script(self.tools, "never:9092", self.passwords, self.folder, outsiders, **told)
        assert [path for path in self.folder.iterdir() if path.is_dir()] == [], "nothing secret is left behind"
        return done

    def calls(self) -> list[str]:
        """What the tools were asked, without the folder that has another name each time."""
        told = self.noted.read_text(encoding="utf-8") if self.noted.exists() else ""
        return [re.sub(r"\S+/user$", "user", line) for line in told.splitlines()]


@pytest.fixture
def script(tmp_path: Path) -> Script:
    return Script(tmp_path)


def test_what_fails_is_told_the_others_are_done_and_the_end_is_not_well(script: Script) -> None:
    assert script.run().returncode == 0
    all_calls = sorted(script.calls())
    script.noted.unlink()
    done = script.run(breaks="*--add*User:sla*Write*--topic*")
    assert done.returncode == 1
    assert sorted(script.calls()) == all_calls, "one that fails keeps no other from being done"
    assert "Timed out waiting for a node" in done.stderr
    assert (
        "not done: kafka-acls.sh --add --allow-principal 'User:sla' --allow-host '*' --operation Write" in done.stderr
    )
    assert "1 of " in done.stderr.splitlines()[-1]
    assert "rights added" not in done.stdout


def test_a_user_whose_password_is_not_set_is_told_and_the_others_have_theirs(script: Script) -> None:
    done = script.run(breaks="*--entity-name inventory *")
    assert done.returncode == 1
    assert "not done: the password of inventory" in done.stderr
    users = [call for call in script.calls() if "--entity-type users" in call]
    assert len(users) == len(services())
    assert "of no interest" not in done.stdout + done.stderr


@pytest.mark.parametrize("name", ["sla", "Reports", "re&ports", "a.b", "*", "OUTSIDER", "x'y", "-x"])
def test_a_name_that_is_none_for_an_outsider_is_refused_before_anything_is_done(script: Script, name: str) -> None:
    done = script.run(f"reports {name}")
    assert done.returncode == 1
    assert f"DESK_KAFKA_OUTSIDERS: {name} " in done.stderr
    assert script.calls() == []


@pytest.mark.parametrize("password", [None, ""])
def test_a_password_that_is_missing_or_empty_is_told_before_anything_is_done(
    script: Script, password: str | None
) -> None:
    script.passwords = {name: "of no interest" for name in services() if name != "sla"}
    if password is not None:
        script.passwords = {**script.passwords, "sla": password}
    done = script.run()
    assert done.returncode == 1
    assert "sla_kafka_password" in done.stderr
    assert script.calls() == []


@pytest.mark.parametrize(("signal", "code"), [("TERM", 143), ("INT", 130), ("HUP", 129)])
def test_a_signal_ends_it_and_leaves_nothing_secret(script: Script, signal: str, code: int) -> None:
    done = script.run(signal=signal)
    assert done.returncode == code
    assert len(script.calls()) == 1, "it goes no further"
