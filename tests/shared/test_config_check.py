"""What production refuses, what is only warned of, and that no password is ever shown."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from io import StringIO
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from pydantic import SecretStr
from rich.console import Console

from devlink.settings import Settings as DevlinkSettings
from shared.config_check import ConfigRefused, check_database, check_settings, describe, render, require_fit
from shared.settings import ServiceSettings
from shared.telemetry.redaction import redact
from tests.support.databases import CHECKOUT, SERVING, Database

PASSWORD = "q7-hunter22-canary"
DATABASE = f"postgresql://desk_sla_service:{PASSWORD}@db.example/desk_sla"
OWNER = f"postgresql://desk_sla_owner:{PASSWORD}@db.example/desk_sla"
# What a process that serves in production is given when all is well.
FIT = {
    "DESK_ENV": "production",
    "DESK_DATABASE_URL": DATABASE,
    "DESK_OIDC_ISSUER": "https://login.example/desk",
    "DESK_KAFKA_BOOTSTRAP": "kafka-1.example:9092,kafka-2.example:9092",
    "DESK_KAFKA_SECURITY": "SASL_SSL",
    "DESK_KAFKA_USERNAME": "sla",
    "DESK_KAFKA_PASSWORD": PASSWORD,
    "DESK_HOST": "0.0.0.0",
    "PGSSLMODE": "verify-full",
}


def settings_of(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, kind: type[ServiceSettings] = ServiceSettings
) -> ServiceSettings:
    for name in [name for name in os.environ if name.startswith("DESK_") or name == "PGSSLMODE"]:
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    # As a process reads them: from the environment and from nowhere else.
    return kind()


def judged(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, **options: Any) -> list[tuple[str, str]]:
    settings = settings_of(environment, monkeypatch, options.pop("kind", ServiceSettings))
    return [(each.level, each.setting) for each in check_settings(settings, environment, **options)]


def test_what_is_fit_for_production_is_let_through(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_of(FIT, monkeypatch)
    assert judged(FIT, monkeypatch) == []
    require_fit("sla", settings, FIT)


@pytest.mark.parametrize(
    ("wrong", "setting"),
    [
        ({"DESK_OIDC_ISSUER": "http://login.example/desk"}, "DESK_OIDC_ISSUER"),
        ({"DESK_OIDC_ISSUER": "https://127.0.0.1:8490"}, "DESK_OIDC_ISSUER"),
        ({"DESK_OIDC_ISSUER": "https://[::1]:8490"}, "DESK_OIDC_ISSUER"),
        ({"DESK_OIDC_ISSUER": "https://issuer.localhost"}, "DESK_OIDC_ISSUER"),
        ({"DESK_OIDC_ISSUER": "http://127.0.0.1:8490"}, "DESK_OIDC_ISSUER"),
        ({"DESK_OWNER_DATABASE_URL": OWNER}, "DESK_OWNER_DATABASE_URL"),
        ({"DESK_KAFKA_BOOTSTRAP": f"desk:{PASSWORD}@kafka.example:9092"}, "DESK_KAFKA_BOOTSTRAP"),
        ({"DESK_KAFKA_BOOTSTRAP": f"kafka.example:9092,desk:{PASSWORD}@kafka.example:9092"}, "DESK_KAFKA_BOOTSTRAP"),
        ({"DESK_OIDC_ISSUER": f"https://desk:{PASSWORD}@login.example"}, "DESK_OIDC_ISSUER"),
        ({"DESK_OIDC_ISSUER": f"https://login.example/?client_secret={PASSWORD}"}, "DESK_OIDC_ISSUER"),
        ({"DESK_KAFKA_BOOTSTRAP": "kafka.example"}, "DESK_KAFKA_BOOTSTRAP"),
        ({"DESK_KAFKA_BOOTSTRAP": "kafka.example:9092,:9092"}, "DESK_KAFKA_BOOTSTRAP"),
        ({"DESK_KAFKA_SECURITY": "PLAINTEXT"}, "DESK_KAFKA_SECURITY"),
        ({"PGSSLMODE": "disable"}, "DESK_DATABASE_URL"),
        ({"PGSSLMODE": "allow"}, "DESK_DATABASE_URL"),
        ({"DESK_DATABASE_URL": f"{DATABASE}?sslmode=disable"}, "DESK_DATABASE_URL"),
        ({"DESK_DATABASE_URL": "db.example"}, "DESK_DATABASE_URL"),
        ({"DESK_DATABASE_URL": "mysql://db.example/desk"}, "DESK_DATABASE_URL"),
        ({"DESK_TOPIC_PREFIX": "mine."}, "DESK_TOPIC_PREFIX"),
        ({"DESK_CLOCK_SKEW_SECONDS": "5"}, "DESK_CLOCK_SKEW_SECONDS"),
        ({"DESK_CLOCK_SKEW_SECONDS": "1.5,-1.2"}, "DESK_CLOCK_SKEW_SECONDS"),
    ],
)
def test_production_refuses_what_is_unsafe(
    monkeypatch: pytest.MonkeyPatch, wrong: dict[str, str], setting: str
) -> None:
    environment = {**FIT, **wrong}
    assert ("problem", setting) in judged(environment, monkeypatch)
    with pytest.raises(ConfigRefused, match=setting) as caught:
        require_fit("sla", settings_of(environment, monkeypatch), environment)
    assert PASSWORD not in caught.value.message


@pytest.mark.parametrize(
    ("odd", "setting"),
    [
        ({"PGSSLMODE": "prefer"}, "DESK_DATABASE_URL"),
        ({"DESK_KAFKA_BOOTSTRAP": "127.0.0.1:8496"}, "DESK_KAFKA_BOOTSTRAP"),
        ({"DESK_DATABASE_POOL_SIZE": "2"}, "DESK_DATABASE_POOL_SIZE"),
        ({"DESK_DATABASE_POOL_SIZE": "90"}, "DESK_DATABASE_POOL_SIZE"),
        ({"DESK_LOG_LEVEL": "debug"}, "DESK_LOG_LEVEL"),
        ({"DESK_TOPIC_PREFX": "mine."}, "DESK_TOPIC_PREFX"),
        ({"DESK_PUBLIC_URL": "http://localhost:8440"}, "DESK_PUBLIC_URL"),
    ],
)
def test_production_is_warned_of_what_is_odd(
    monkeypatch: pytest.MonkeyPatch, odd: dict[str, str], setting: str
) -> None:
    environment = {"DESK_PUBLIC_URL": "https://desk.example", **FIT, **odd}
    found = judged(environment, monkeypatch, kind=DevlinkSettings)
    assert ("warning", setting) in found
    assert not [each for each in found if each[0] == "problem"]


def test_a_database_on_the_same_machine_needs_no_encryption(monkeypatch: pytest.MonkeyPatch) -> None:
    local = {**FIT, "DESK_DATABASE_URL": "postgresql://desk@127.0.0.1/desk_sla", "PGSSLMODE": "disable"}
    assert "DESK_DATABASE_URL" not in dict(each[::-1] for each in judged(local, monkeypatch))


def test_development_starts_with_its_own_issuer_and_is_warned_before_it_opens_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    development = {"DESK_DATABASE_URL": "postgresql://desk:desk@127.0.0.1/desk_sla"}
    assert judged(development, monkeypatch) == []
    exposed = {**development, "DESK_HOST": "0.0.0.0", "DESK_OWNER_DATABASE_URL": OWNER}
    assert judged(exposed, monkeypatch) == [("warning", "DESK_OWNER_DATABASE_URL"), ("warning", "DESK_HOST")]
    require_fit("sla", settings_of(exposed, monkeypatch), exposed)


def test_migrate_is_given_the_owner_who_is_not_the_serving_role(monkeypatch: pytest.MonkeyPatch) -> None:
    migrating = {**FIT, "DESK_OWNER_DATABASE_URL": OWNER}
    assert ("problem", "DESK_OWNER_DATABASE_URL") not in judged(migrating, monkeypatch, serving=False)
    assert ("problem", "DESK_OWNER_DATABASE_URL") in judged(FIT, monkeypatch, serving=False)
    same = {**FIT, "DESK_OWNER_DATABASE_URL": DATABASE}
    assert ("problem", "DESK_OWNER_DATABASE_URL") in judged(same, monkeypatch, serving=False)


def test_every_setting_is_shown_with_its_source(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_of(FIT, monkeypatch)
    shown = {each.name: each for each in describe(settings, FIT)}
    assert set(shown) == {f"DESK_{field.upper()}" for field in ServiceSettings.model_fields}
    assert (shown["DESK_ENV"].value, shown["DESK_ENV"].source) == ("production", "environment")
    assert (shown["DESK_PORT"].value, shown["DESK_PORT"].source) == ("0", "default")
    assert shown["DESK_DATABASE_URL"].value == "postgresql://desk_sla_service:***@db.example/desk_sla"


@pytest.mark.parametrize(
    "secret",
    [DATABASE, f"{DATABASE}?password={PASSWORD}", PASSWORD, f"postgres//{PASSWORD}", f"mysql://x:{PASSWORD}@db/x"],
)
def test_no_password_is_shown_or_logged(monkeypatch: pytest.MonkeyPatch, secret: str) -> None:
    environment = {
        **FIT,
        "DESK_DATABASE_URL": secret,
        "DESK_OWNER_DATABASE_URL": secret,
        "DESK_KAFKA_BOOTSTRAP": f"desk:{PASSWORD}@kafka.example:9092",
        "DESK_OIDC_ISSUER": f"https://desk:{PASSWORD}@login.example",
    }
    settings = settings_of(environment, monkeypatch)
    printed = StringIO()
    masked = settings.model_copy(update={"kafka_bootstrap": "-", "oidc_issuer": "-"})
    Console(file=printed).print(masked)
    told = [repr(masked), str(masked), masked.model_dump_json(), str(redact(masked)), printed.getvalue()]
    told.append(render("sla", settings, environment, check_settings(settings, environment)))
    assert not [each for each in told if PASSWORD in each]


def test_only_secret_settings_may_be_given_a_password() -> None:
    """A new setting that carries one must be secret, or it would be printed with all the others."""
    for field, described in {**ServiceSettings.model_fields, **DevlinkSettings.model_fields}.items():
        if field.endswith(("database_url", "password", "secret", "token", "key")):
            assert "SecretStr" in str(described.annotation), field
    assert SecretStr(PASSWORD).get_secret_value() not in repr(SecretStr(PASSWORD))


def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The real command in a bare environment."""
    given = {name: value for name, value in os.environ.items() if not name.startswith("DESK_") and name != "PGSSLMODE"}
    return subprocess.run(
        [sys.executable, "-m", *words],
        env={**given, **environment},
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_secret_may_be_a_file_of_the_folder_of_secrets(tmp_path: Path) -> None:
    (tmp_path / "desk_database_url").write_text(f"{DATABASE}\n", encoding="utf-8")
    (tmp_path / "desk_kafka_password").write_text(PASSWORD, encoding="utf-8")
    given = {name: value for name, value in FIT.items() if name not in ("DESK_DATABASE_URL", "DESK_KAFKA_PASSWORD")}
    checked = run("sla", "config", "check", **given, DESK_SECRETS_FOLDER=str(tmp_path))
    assert checked.returncode == 0, checked.stderr
    shown = {line.split()[0]: line.split()[1:] for line in checked.stdout.splitlines() if "DESK_" in line}
    assert shown["DESK_DATABASE_URL"] == ["file", "postgresql://desk_sla_service:***@db.example/desk_sla"]
    assert shown["DESK_KAFKA_PASSWORD"][0] == "file"
    assert PASSWORD not in checked.stdout


@pytest.mark.parametrize(
    ("half", "said"),
    [
        ({"DESK_KAFKA_SECURITY": "SASL_SSL", "DESK_KAFKA_USERNAME": "sla"}, "DESK_KAFKA_PASSWORD"),
        ({"DESK_KAFKA_KEY_FILE": "key.pem"}, "DESK_KAFKA_CERTIFICATE_FILE"),
    ],
)
def test_half_of_a_login_is_refused_at_the_start(half: dict[str, str], said: str) -> None:
    refused = run("sla", "config", "check", DESK_DATABASE_URL=DATABASE, **half)
    assert refused.returncode == 1
    assert said in refused.stderr


@pytest.mark.parametrize("service", ["tickets", "inventory", "sla", "devlink"])
def test_every_service_checks_its_settings(service: str) -> None:
    fit = run(service, "config", "check", **FIT)
    assert (fit.returncode, fit.stderr) == (0, "")
    assert "nothing to refuse" in fit.stdout
    refused = run(service, "config", "check", **{**FIT, "DESK_OIDC_ISSUER": "http://login.example"})
    assert refused.returncode == 1
    assert "problem  DESK_OIDC_ISSUER: is not reached by https" in refused.stdout
    assert PASSWORD not in fit.stdout + refused.stdout + refused.stderr


@pytest.mark.parametrize("part", ["api", "consumer", "relay", "jobs", "all"])
def test_no_part_starts_in_production_with_what_the_check_refuses(part: str) -> None:
    done = run("devlink", part, **{**FIT, "DESK_OWNER_DATABASE_URL": OWNER})
    assert done.returncode == 1
    assert "devlink: does not start in production" in done.stderr
    assert "DESK_OWNER_DATABASE_URL: must not be given to a process that serves" in done.stderr
    assert "Traceback" not in done.stderr
    assert PASSWORD not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "https://collector.example:4318"}, []),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318"}, []),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector.example:4318"}, ["warning"]),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "collector.example:4318"}, ["warning"]),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://desk:{PASSWORD}@collector.example:4318"}, ["problem"]),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"https://desk:{PASSWORD}@collector.example:4318"}, []),
        ({"OTEL_EXPORTER_OTLP_HEADERS": "authorization=x"}, []),
    ],
)
def test_spans_do_not_travel_with_a_secret_in_the_open(
    monkeypatch: pytest.MonkeyPatch, told: dict[str, str], expected: list[str]
) -> None:
    found = [level for level, setting in judged({**FIT, **told}, monkeypatch) if setting.startswith("OTEL_")]
    assert found == expected


@pytest.mark.parametrize("headers", ["OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS"])
@pytest.mark.parametrize(
    ("collector", "expected"),
    [
        ("https://collector.example:4318", []),
        ("http://localhost:4318", []),
        ("http://collector.example:4318", ["problem"]),
    ],
)
def test_headers_that_open_the_collector_travel_encrypted(
    monkeypatch: pytest.MonkeyPatch, headers: str, collector: str, expected: list[str]
) -> None:
    told = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector, headers: f"authorization=Bearer {PASSWORD}"}
    found = [level for level, setting in judged({**FIT, **told}, monkeypatch) if setting.startswith("OTEL_")]
    assert found == expected


def test_a_protocol_that_is_not_spoken_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    told = {"OTEL_EXPORTER_OTLP_ENDPOINT": "https://collector.example:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}
    assert ("warning", "OTEL_EXPORTER_OTLP_PROTOCOL") in judged({**FIT, **told}, monkeypatch)


async def test_a_role_without_guards_is_told(
    database: Callable[[str], Awaitable[Database]], monkeypatch: pytest.MonkeyPatch
) -> None:
    db = await database("runtime")
    local = {**FIT, "DESK_DATABASE_URL": db.url, "PGSSLMODE": "prefer"}
    assert await check_database(settings_of(local, monkeypatch)) == []
    administrator = await asyncpg.connect(db.admin_url)
    try:
        for change in ("RESET statement_timeout", "SET idle_in_transaction_session_timeout = '1h'"):
            await administrator.execute(f'ALTER ROLE {SERVING} IN DATABASE "{db.name}" {change}')
    finally:
        await administrator.close()
    (found,) = await check_database(settings_of(local, monkeypatch))
    assert (found.level, found.setting) == ("problem", "DESK_DATABASE_URL")
    assert "statement_timeout is off instead of 30 s" in found.message
    assert "idle_in_transaction_session_timeout is 3600 s instead of 3 s" in found.message
    assert "lock_timeout" not in found.message
    (warned,) = await check_database(settings_of({**local, "DESK_ENV": "development"}, monkeypatch))
    assert warned.level == "warning"


async def test_a_database_that_does_not_answer_cannot_be_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = {**FIT, "DESK_DATABASE_URL": f"postgresql://desk:{PASSWORD}@127.0.0.1:1/desk_sla"}
    (found,) = await check_database(settings_of(nowhere, monkeypatch))
    assert (found.level, PASSWORD in found.message) == ("warning", False)
