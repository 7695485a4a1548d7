"""What README.md tells people to type: in the right order, with files that exist, and overlays that fit."""

from __future__ import annotations

import re
import textwrap

import pytest
import yaml

from runner.postgres import SETTINGS
from runner.secret_files import make_secrets
from tests.deploy.files import DEPLOY, PARTS, ROOT, SERVICES, Document, compose, lay_over

README = (DEPLOY / "README.md").read_text(encoding="utf-8")
OUTSIDERS = "DESK_KAFKA_OUTSIDERS"


def section(heading: str) -> str:
    """The text below a heading."""
    return README.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def blocks(heading: str, language: str = "") -> list[str]:
    """The blocks of code of a section, without their margin."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```$", section(heading), re.MULTILINE | re.DOTALL)
    return [textwrap.dedent(text) for _, text in found]


@pytest.mark.parametrize("heading", ["Try it", "In production"])
def test_secrets_and_images_are_made_before_anything_starts(heading: str) -> None:
    commands = blocks(heading)[0]
    order = [commands.index(words) for words in ("desk secrets ", " build", " up -d")]
    assert order == sorted(order)
    named = re.findall(r"(?:-f|cp) (\S+)", commands)
    assert named
    assert [name for name in named if not (ROOT / name).is_file()] == []


def test_whoever_runs_an_image_that_it_does_not_build_is_why_images_are_built_first() -> None:
    services = compose("compose.yaml", "compose.production.yaml")["services"]
    built = {service["image"] for service in services.values() if "build" in service}
    assert {service["image"] for name, service in services.items() if name == "topics"} <= built


def test_an_upgrade_names_every_revision_before_which_the_older_release_is_stopped() -> None:
    named = set(re.findall(r"^\| `(\w+)` \|", section("Upgrading"), re.MULTILINE))
    histories = ("services/*/src/*/migrations/versions", "shared/src/shared/messaging/migrations/versions")
    revisions = [path.read_text(encoding="utf-8") for each in histories for path in ROOT.glob(f"{each}/*.py")]
    saying = {
        re.findall(r'^revision = "(\w+)"', text, re.MULTILINE)[0]
        for text in revisions
        if "the older release is stopped first" in " ".join(text.split())
    }
    assert named == saying != set()


def test_an_upgrade_stops_every_process_between_the_build_and_the_start() -> None:
    (commands,) = blocks("Upgrading")
    build, *stops, up = commands.splitlines()
    assert (build, up) == ("$compose build", "$compose up -d")
    stopped = [name for line in stops for name in line.removeprefix("$compose stop ").split()]
    assert sorted(stopped) == sorted(f"{service}-{part}" for service in SERVICES for part in PARTS)


def test_a_database_elsewhere_is_told_not_to_quote_rows_in_its_log() -> None:
    told = section("In production").partition("**A database elsewhere**")[2].partition("\n- **")[0]
    assert f"`log_error_verbosity={SETTINGS['log_error_verbosity']}`" in told


def test_the_overlay_for_another_system_gives_access_its_name_and_its_password(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    (text,) = blocks("In production", "yaml")
    overlay: Document = yaml.safe_load(text)
    merged = compose("compose.yaml", "compose.production.yaml")
    before = set(merged["services"]["access"]["secrets"])
    lay_over(merged, overlay)
    access = merged["services"]["access"]
    name = access["environment"][OUTSIDERS]
    (password,) = set(access["secrets"]) - before
    folder = tmp_path_factory.mktemp("outsider") / "secrets"
    make_secrets(folder, [name])
    assert (folder / password).is_file()
    assert password == f"{name}_kafka_password"
    assert merged["secrets"][password]["file"] == f"${{DESK_SECRETS}}/{password}"
    assert f"desk secrets FOLDER --outsider {name}`" in section("In production")
