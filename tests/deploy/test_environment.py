"""The environment files: every setting is named and explained, and none that does not exist."""

from __future__ import annotations

import importlib
import re

import pytest

from runner.secret_files import BROKERS
from shared.config_check import name_of
from shared.settings import KafkaSettings, ServiceSettings
from tests.deploy.files import DEPLOY, PARTS, SERVICES, compose, given, unexplained, variables

ENV = DEPLOY / "env"
FILES = sorted(ENV.glob("*.env"))
# Not settings of a class: the folder of secrets, what the drivers read, and what prepares Kafka.
OTHERS = {"DESK_SECRETS_FOLDER", "PGSSLMODE", "PGSSLROOTCERT"}
OF_THE_COMMANDS = {"DESK_KAFKA_REPLICATION", "DESK_KAFKA_OUTSIDERS"}


def settings_of(service: str) -> set[str]:
    """The variables of a service's settings class."""
    found: type[ServiceSettings] = importlib.import_module(f"{service}.settings").Settings
    return {name_of(field) for field in found.model_fields}


def kafka_settings() -> set[str]:
    """The variables that say where Kafka is."""
    return {name_of(field) for field in KafkaSettings.model_fields}


def named(*files: str) -> set[str]:
    """The variables that these files name."""
    return {name for file in files for name in variables(ENV / file)}


@pytest.mark.parametrize("service", SERVICES)
def test_every_setting_of_a_service_is_named(service: str) -> None:
    own = [f"{service}.env"] if (ENV / f"{service}.env").exists() else []
    assert settings_of(service) - named("service.env", *own) == set()


def test_no_setting_is_named_that_does_not_exist() -> None:
    common = set.intersection(*[settings_of(service) for service in SERVICES])
    assert {one for one in named("service.env") if not one.startswith("OTEL_")} - common - OTHERS == set()
    for service in SERVICES:
        if (ENV / f"{service}.env").exists():
            assert named(f"{service}.env") - settings_of(service) == set()
    assert named("production.env") - common == set()
    assert named("topics.env", "operator.env") - kafka_settings() - OF_THE_COMMANDS == set()


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.name)
def test_every_variable_is_explained(file: object) -> None:
    assert unexplained(ENV / str(getattr(file, "name", file))) == []


def test_the_variables_of_the_compose_files_are_those_of_their_file() -> None:
    texts = [(DEPLOY / name).read_text(encoding="utf-8") for name in ("compose.yaml", "compose.production.yaml")]
    used = {name for text in texts for name in re.findall(r"(?<!\$)\$\{(\w+)", text)}
    assert used == named("compose.env")


def test_a_default_that_is_shown_is_the_default() -> None:
    shown = {name: value for name, value in variables(ENV / "service.env").items() if value}
    for field, described in ServiceSettings.model_fields.items():
        name = name_of(field)
        if name in shown and name not in given(ENV / "service.env"):
            default = described.default
            expected = f"{default:g}" if isinstance(default, float) else str(default)
            assert shown[name] == expected, name


def test_no_secret_is_in_an_environment_file_or_in_the_environment_of_a_container() -> None:
    for file in FILES:
        told = {
            name: value
            for name, value in given(file).items()
            if value and re.search("PASSWORD|DATABASE_URL|SECRET$", name)
        }
        assert told == {}, file.name
    for name, service in compose("compose.yaml", "compose.production.yaml")["services"].items():
        environment = service.get("environment", {})
        assert not [key for key in environment if re.search("PASSWORD$|DATABASE_URL", key)], name


def test_the_brokers_of_the_production_file_are_those_that_the_certificate_names() -> None:
    brokers = [
        name for name in compose("compose.yaml", "compose.production.yaml")["services"] if name.startswith("kafka")
    ]
    hosts = {address.partition(":")[0] for address in given(ENV / "production.env")["DESK_KAFKA_BOOTSTRAP"].split(",")}
    assert set(brokers) == hosts == set(BROKERS) - {"localhost"}


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("part", PARTS)
def test_a_process_reads_the_files_in_the_order_in_which_the_later_one_wins(service: str, part: str) -> None:
    files = compose("compose.yaml", "compose.production.yaml")["services"][f"{service}-{part}"]["env_file"]
    assert files[0] == "env/service.env"
    assert files[-1] == "env/production.env"
