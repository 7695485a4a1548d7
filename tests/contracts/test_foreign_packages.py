"""The npm packages of the foreign consumer: pinned, hashed, and without the address of whoever installed them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from shared.contracts.documents import read_json
from tests.contracts.foreign import install
from tests.rules.test_repository import problems_of_lock

LOCK = install.HERE / "package-lock.json"


def problems(lock: dict[str, Any], described: dict[str, Any]) -> list[str]:
    """What makes an npm lock useless elsewhere: addresses, packages without a hash, versions that are not pinned."""
    told = [
        f"no exact version: {name}" for name, range_ in described["dependencies"].items() if not range_[0].isdigit()
    ]
    if lock["packages"][""]["dependencies"] != described["dependencies"]:
        told.append("the lock is of other dependencies")
    for name, entry in lock["packages"].items():
        told += [f"an address: {name}"] if "resolved" in entry else []
        told += [f"no hash: {name}"] if name and not entry.get("integrity", "").startswith("sha512-") else []
    return told


def test_the_lock_pins_and_hashes_every_package_and_names_no_address() -> None:
    assert problems(read_json(LOCK), read_json(install.HERE / "package.json")) == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"resolved": "file:kafkajs.tgz"}, "an address: node_modules/kafkajs"),
        ({"integrity": ""}, "no hash: node_modules/kafkajs"),
    ],
)
def test_a_spoilt_lock_of_npm_is_seen(change: dict[str, str], told: str) -> None:
    lock = read_json(LOCK)
    lock["packages"]["node_modules/kafkajs"].update(change)
    assert problems(lock, read_json(install.HERE / "package.json")) == [told]


def test_whoever_writes_the_lock_anew_leaves_addresses_out() -> None:
    settings = (install.HERE / ".npmrc").read_text(encoding="utf-8").splitlines()
    assert {"omit-lockfile-registry-resolved=true", "ignore-scripts=true"} <= set(settings)


def test_the_runtime_in_a_wheel_is_pinned_and_hashed() -> None:
    assert problems_of_lock((install.HERE / "node.lock").read_text(encoding="utf-8")) == []


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder of this test's own."""
    monkeypatch.setattr(install, "INSTALLED", tmp_path)
    monkeypatch.setattr(install, "STAMP", tmp_path / "installed.json")
    return tmp_path


def test_what_was_installed_for_another_lock_counts_as_missing(state: Path) -> None:
    assert install.installed_node() is None
    stamp = {"lock": install._digest(), "node": "/bin/sh"}
    install.STAMP.write_text(json.dumps(stamp), encoding="utf-8")
    assert install.installed_node() == "/bin/sh"
    install.STAMP.write_text(json.dumps({**stamp, "lock": "of last month"}), encoding="utf-8")
    assert install.installed_node() is None


def test_a_node_that_has_gone_counts_as_missing(state: Path) -> None:
    install.STAMP.write_text(json.dumps({"lock": install._digest(), "node": str(state / "gone")}), encoding="utf-8")
    assert install.installed_node() is None
    with pytest.raises(install.NotInstalled, match="make foreign"):
        install.run_script("validate.cjs")


def test_an_installation_that_fails_says_why_and_leaves_no_stamp(
    state: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = install.Node("/bin/sh", ("/bin/sh", "-c", "echo no such package >&2; exit 1"))
    monkeypatch.setattr(install, "_node_of_the_machine", lambda: broken)
    assert install.main() == 0
    assert "not installed: sh failed: no such package" in capsys.readouterr().out
    assert not install.STAMP.exists()
