"""`python -m <service> config check`: every setting, what production must not have, and a role without guards."""

from __future__ import annotations

import asyncio
import difflib
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Annotated, Literal, Protocol
from urllib.parse import parse_qsl, urlsplit

import typer
from pydantic import SecretStr
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from shared.db.engine import make_engine
from shared.db.failures import DatabaseFailure, problem_of
from shared.db.guards import HOW_TO_SET, missing_guards
from shared.errors import DeskError
from shared.settings import ServiceSettings
from shared.telemetry import collector
from shared.telemetry.redaction import REDACTED, is_secret_name, redact_text

Level = Literal["problem", "warning"]

# /readyz alone asks four things at the same time.
SMALLEST_POOL = 5
LARGEST_POOL = 40
CLOCK_SKEW = "DESK_CLOCK_SKEW_SECONDS"
_HEADERS_OF_TRACES = ("OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS")
_PASSWORD_IN_ADDRESS = re.compile(r"(^|//|,)[^\s:/@,]*:[^\s@/,]+@")


class ConfigRefused(DeskError):
    """The settings are not fit for production; the message names each problem and what to do."""

    code = "config-refused"
    title = "The settings are not fit for production"


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with a setting. A problem refuses, a warning does not."""

    level: Level
    setting: str
    message: str


@dataclass(frozen=True)
class Setting:
    """One setting as it may be shown: secrets are masked in `value`. `file` is one of the folder of secrets."""

    name: str
    value: str
    source: Literal["environment", "file", "default"]


@dataclass(frozen=True)
class Checked:
    """What a check looks at. `serving` is False for `migrate`, which alone may have the owner's address."""

    settings: ServiceSettings
    environment: Mapping[str, str]
    serving: bool = True

    @property
    def production(self) -> bool:
        """Whether this is for real."""
        return self.settings.env == "production"

    def databases(self) -> Iterator[tuple[str, URL]]:
        """The addresses of the database that can be read."""
        for field in ("database_url", "owner_database_url"):
            secret = getattr(self.settings, field)
            if secret is not None and (url := _parse(secret)) is not None:
                yield name_of(field), url


Check = Callable[[Checked], Iterator[Finding]]


class Configured(Protocol):
    """What the command needs to know of a service."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def settings(self) -> type[ServiceSettings]:
        """The class of its settings."""


def config_commands(service: Configured) -> typer.Typer:
    """The commands about settings."""
    app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)

    @app.callback()
    def root() -> None:
        """Keeps `check` a subcommand of its own."""

    @app.command(help="show every setting and its source, and refuse what production must not have")
    def check(
        migrate: Annotated[bool, typer.Option("--migrate", help="check what `migrate` is given")] = False,
    ) -> None:
        settings = service.settings()
        findings = check_settings(settings, os.environ, serving=not migrate)
        if not migrate:
            findings += asyncio.run(check_database(settings))
        typer.echo(render(service.name, settings, os.environ, findings))
        raise typer.Exit(1 if any(each.level == "problem" for each in findings) else 0)

    return app


def check_settings(settings: ServiceSettings, environment: Mapping[str, str], *, serving: bool = True) -> list[Finding]:
    """Everything that is wrong with the settings, problems first."""
    checked = Checked(settings, environment, serving)
    return sorted((found for check in CHECKS for found in check(checked)), key=lambda each: each.level)


async def check_database(settings: ServiceSettings) -> list[Finding]:
    """What the serving role lacks in the database; a warning where that cannot be asked."""
    name = name_of("database_url")
    if _parse(settings.database_url) is None:
        return []
    engine = make_engine(settings.database_url.get_secret_value(), application="desk config check", pool_size=1)
    try:
        async with engine.connect() as reader:
            missing = await missing_guards(reader)
    except DatabaseFailure as error:
        return [Finding("warning", name, f"could not be asked for its guards: {redact_text(problem_of(error))}")]
    finally:
        await engine.dispose()
    level: Level = "problem" if settings.env == "production" else "warning"
    told = f"leads to a role that may hold what it locked for ever: {', '.join(missing)}; {HOW_TO_SET}"
    return [Finding(level, name, told)] if missing else []


def require_fit(service: str, settings: ServiceSettings, environment: Mapping[str, str]) -> None:
    """What a serving process does before anything else. Raises ConfigRefused in production when the check refuses."""
    if settings.env != "production":
        return
    problems = [each for each in check_settings(settings, environment) if each.level == "problem"]
    if problems:
        told = "\n".join(f"  {each.setting}: {each.message}" for each in problems)
        raise ConfigRefused(
            f"does not start in production with these settings:\n{told}\n"
            f"`python -m {service} config check` shows all of them."
        )


def describe(settings: ServiceSettings, environment: Mapping[str, str]) -> list[Setting]:
    """Every setting, in the order of the class, without secrets."""
    given = {name.upper() for name in environment}

    def source(field: str) -> Literal["environment", "file", "default"]:
        if name_of(field) in given:
            return "environment"
        return "file" if field in settings.model_fields_set else "default"

    return [
        Setting(name_of(field), _shown(getattr(settings, field)), source(field))
        for field in type(settings).model_fields
    ]


def render(service: str, settings: ServiceSettings, environment: Mapping[str, str], findings: list[Finding]) -> str:
    """The settings and the findings as lines for a person."""
    shown = describe(settings, environment)
    width = max(len(each.name) for each in shown)
    lines = [f"{service}, {settings.env}"]
    lines += [f"  {each.name:<{width}}  {each.source:<11}  {each.value}" for each in shown]
    lines += [f"{each.level:<7}  {each.setting}: {each.message}" for each in findings]
    problems = sum(each.level == "problem" for each in findings)
    lines.append(f"refused: {problems} problem{'s' if problems > 1 else ''}" if problems else "nothing to refuse")
    return "\n".join(lines)


def name_of(field: str) -> str:
    """The environment variable of a setting."""
    return f"{ServiceSettings.model_config.get('env_prefix', '')}{field}".upper()


def is_this_machine(host: str | None) -> bool:
    """Whether a host can only be the machine that asks."""
    try:
        address = ip_address(host or "")
    except ValueError:
        return host == "localhost" or (host or "").endswith(".localhost")
    return address.is_loopback or address.is_unspecified


def _issuer(checked: Checked) -> Iterator[Finding]:
    if not (checked.production and checked.serving):
        return
    name, parts = name_of("oidc_issuer"), urlsplit(checked.settings.oidc_issuer)
    if is_this_machine(parts.hostname):
        yield Finding("problem", name, "is an issuer on this machine, as in development; name the company's own")
    elif parts.scheme != "https":
        yield Finding("problem", name, "is not reached by https, so anybody in between can hand out keys")


def _owner(checked: Checked) -> Iterator[Finding]:
    name, settings = name_of("owner_database_url"), checked.settings
    level: Level = "problem" if checked.production else "warning"
    if checked.serving and settings.owner_database_url is not None:
        yield Finding(
            level, name, "must not be given to a process that serves: it could change history; only `migrate` has it"
        )
    if not checked.serving and settings.owner_database_url is None:
        yield Finding("problem", name, "is missing; `migrate` works as the role that owns the tables")
    roles = [url.username for _, url in checked.databases()]
    if len(roles) == 2 and roles[0] == roles[1]:
        yield Finding(level, name, "names the serving role; the role that owns the tables must be another")


def _passwords(checked: Checked) -> Iterator[Finding]:
    """Only a secret setting is masked wherever settings are printed or logged."""
    level: Level = "problem" if checked.production else "warning"
    for field in type(checked.settings).model_fields:
        value = getattr(checked.settings, field)
        if isinstance(value, str) and _holds_password(value):
            yield Finding(level, name_of(field), "holds a password and is not a secret setting: it would be logged")


def _addresses(checked: Checked) -> Iterator[Finding]:
    for field in ("database_url", "owner_database_url"):
        secret = getattr(checked.settings, field)
        if secret is not None and _parse(secret) is None:
            yield Finding("problem", name_of(field), "is not an address such as postgresql://role:password@host/name")
    for name, url in checked.databases():
        if {"sslmode", "ssl"} & set(url.query):
            yield Finding("problem", name, "cannot say how to encrypt: take sslmode out and set PGSSLMODE=verify-full")


def _encryption(checked: Checked) -> Iterator[Finding]:
    """The driver tries TLS by itself and goes on without where PGSSLMODE does not insist."""
    if not checked.production:
        return
    mode = checked.environment.get("PGSSLMODE", "prefer").lower()
    for name, url in checked.databases():
        asked = {str(url.query.get(key, mode)).lower() for key in ("sslmode", "ssl")}
        if is_this_machine(url.host) or url.host is None:
            continue
        if asked & {"disable", "allow", "false", "off"}:
            yield Finding("problem", name, f"goes to {url.host} without encryption; set PGSSLMODE=verify-full")
        elif asked == {"prefer"}:
            yield Finding("warning", name, f"may go to {url.host} without encryption; set PGSSLMODE=verify-full")


def _broker(checked: Checked) -> Iterator[Finding]:
    name, settings = name_of("kafka_bootstrap"), checked.settings
    addresses = settings.kafka_bootstrap.split(",")
    hosts = [urlsplit(f"//{each.strip()}").hostname for each in addresses]
    if not all(_is_host_and_port(each) for each in addresses):
        yield Finding("problem", name, "is not host:port, or several of them with commas in between")
    if checked.production and all(is_this_machine(host) for host in hosts):
        yield Finding("warning", name, "is a broker on this machine")
    elif checked.production and settings.kafka_security == "PLAINTEXT":
        yield Finding(
            "problem", name_of("kafka_security"), "is PLAINTEXT: anybody in between reads names and telephones and can "
            "write what gives work to Development; set SASL_SSL, with a name and a password",
        )  # fmt: skip
    if checked.production and settings.topic_prefix:
        yield Finding(
            "problem", name_of("topic_prefix"), "must be empty: other systems know the topics by their plain names"
        )


def _pool(checked: Checked) -> Iterator[Finding]:
    name, size = name_of("database_pool_size"), checked.settings.database_pool_size
    if size < SMALLEST_POOL:
        yield Finding("warning", name, f"is small: below {SMALLEST_POOL} requests wait for the health checks")
    if size > LARGEST_POOL:
        yield Finding(
            "warning", name, f"lets each process open {size} connections and a few more; "
            "all processes together must stay below the server's max_connections",
        )  # fmt: skip


def _exposure(checked: Checked) -> Iterator[Finding]:
    settings = checked.settings
    if checked.production:
        if settings.log_level == "debug":
            yield Finding("warning", name_of("log_level"), "is debug: slow, and it says more than operators need")
        if "public_url" in type(settings).model_fields:
            url = urlsplit(str(getattr(settings, "public_url", "")))
            if is_this_machine(url.hostname):
                yield Finding("warning", name_of("public_url"), "leads everybody to their own machine")
    elif not is_this_machine(settings.host) or settings.host in ("0.0.0.0", "::"):
        message = "opens a development service, which trusts an issuer that gives anybody any role, to the network"
        yield Finding("warning", name_of("host"), message)


def _skew(checked: Checked) -> Iterator[Finding]:
    """Only tests set a process's clock apart from the others'."""
    if checked.production and checked.environment.get(CLOCK_SKEW):
        yield Finding("problem", CLOCK_SKEW, "sets this process's clock wrong; it exists for tests only")


def _traces(checked: Checked) -> Iterator[Finding]:
    """The standard settings of OpenTelemetry, where they would give a secret away or lead nowhere."""
    if not collector.is_configured(checked.environment):
        return
    name, url = collector.collector_of(checked.environment)
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        yield Finding("warning", name, "is not an address such as https://collector.example:4318: no trace is sent")
    protocol = checked.environment.get("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
    if protocol != "http/protobuf":
        yield Finding("warning", "OTEL_EXPORTER_OTLP_PROTOCOL", "is not spoken here: traces are sent as http/protobuf")
    if parts.scheme != "http" or is_this_machine(parts.hostname):
        return
    secret = _holds_password(url) or any(checked.environment.get(headers) for headers in _HEADERS_OF_TRACES)
    if checked.production and secret:
        yield Finding("problem", name, "sends the headers or the password that open the collector without encryption")
    elif checked.production:
        yield Finding("warning", name, "is reached without encryption: keep the collector in a closed network")


def _misspelt(checked: Checked) -> Iterator[Finding]:
    known = [name_of(field) for field in type(checked.settings).model_fields]
    for given in sorted({name.upper() for name in checked.environment if name.upper().startswith("DESK_")}):
        meant = difflib.get_close_matches(given, known, n=1, cutoff=0.88)
        if given not in known and meant:
            yield Finding("warning", given, f"is not a setting; did you mean {meant[0]}?")


CHECKS: tuple[Check, ...] = (
    _issuer,
    _owner,
    _passwords,
    _addresses,
    _encryption,
    _broker,
    _pool,
    _exposure,
    _skew,
    _traces,
    _misspelt,
)


def _parse(secret: SecretStr) -> URL | None:
    try:
        url = make_url(secret.get_secret_value())
    except (ArgumentError, ValueError):
        return None
    return url if url.drivername.startswith("postgresql") and url.database else None


def _is_host_and_port(address: str) -> bool:
    try:
        parts = urlsplit(f"//{address.strip().rpartition('@')[2]}")
        return bool(parts.hostname) and parts.port is not None
    except ValueError:
        return False


def _holds_password(value: str) -> bool:
    if _PASSWORD_IN_ADDRESS.search(value):
        return True
    return any(is_secret_name(name) for name, _ in parse_qsl(urlsplit(value).query)) if "://" in value else False


def _shown(value: object) -> str:
    if value is None:
        return "-"
    if not isinstance(value, SecretStr):
        text = str(value)
        return redact_text(re.sub(r"(^|//|,)([^\s:/@,]*):[^\s@/,]+@", r"\1\2:***@", text)) or "(empty)"
    url = _parse(value)
    if url is None:
        return REDACTED
    masked = {name: "***" if is_secret_name(name) else text for name, text in url.query.items()}
    return url.set(query=masked).render_as_string(hide_password=True)
