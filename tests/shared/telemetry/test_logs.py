"""Logs: one JSON object a line, with its context, and without anything that must not be there."""

from __future__ import annotations

import io
import logging
import subprocess
import sys
import warnings
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar
from uuid import UUID

import pytest
from fastapi.exceptions import ResponseValidationError
from pydantic import BaseModel, Field, SecretStr, ValidationError
from sqlalchemy.exc import IntegrityError

from shared.contracts.envelope import Cause, Event, Part, Sealed
from shared.contracts.personal import Personal, personal_fields
from shared.ids import new_id
from shared.telemetry import logs
from shared.telemetry.redaction import redact_text
from tests.shared.output import Output

CANARY = "CANARY-4711"
TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbmEifQ.c2lnbmF0dXJlLW9mLWNhbmFyeQ"
log = logs.get_logger("tests.logs")


class Contact(Part):
    name: Personal[str]
    role: str = "user"


class Reported(Event):
    type: ClassVar[str] = "desk.test.reported.v1"
    ticket_id: str
    told: Personal[str]
    phones: list[Personal[str]] = Field(default_factory=list)
    email: Personal[str] | None = None
    contact: Contact | None = None
    contacts: tuple[Contact, ...] = ()


def reported() -> Reported:
    contact = Contact(name=CANARY)
    return Reported(
        ticket_id="T-1", told=CANARY, phones=[CANARY], email=CANARY, contact=contact, contacts=(contact, contact)
    )


def test_a_line_says_who_wrote_it_when_and_what(output: Output) -> None:
    log.info("ticket opened", ticket_id=UUID(int=7), level_number=2)
    line = output.only
    assert datetime.fromisoformat(line.pop("at")).tzinfo == UTC
    assert line == {
        "event": "ticket opened",
        "service": "tickets",
        "part": "api",
        "level": "info",
        "logger": "tests.logs",
        "ticket_id": "00000000-0000-0000-0000-000000000007",
        "level_number": 2,
    }


def test_the_context_is_on_every_line_inside_and_on_none_outside(output: Output) -> None:
    event_id = new_id()
    with logs.working_on(event_id=event_id, ticket_id="T-1", actor="ana", correlation_id="c-1", trace_id="abc"):
        log.info("inside")
        logging.getLogger("aiokafka.consumer").warning("inside too")
    log.info("outside")
    expected = {"event_id": str(event_id), "ticket_id": "T-1", "actor": "ana", "correlation_id": "c-1"}
    for line in output.lines[:2]:
        assert line.items() >= expected.items()
    assert not output.lines[2].keys() & expected.keys()


@pytest.mark.parametrize("name", ["uvicorn.error", "faststream", "aiokafka", "alembic.runtime.migration", "anything"])
def test_libraries_write_through_the_same_door(output: Output, name: str) -> None:
    logging.getLogger(name).warning("it %s %d times", "happened", 3)
    line = output.only
    assert (line["event"], line["logger"], line["level"]) == ("it happened 3 times", name, "warning")
    assert (line["service"], line["part"]) == ("tickets", "api")


def test_a_library_that_had_its_own_handler_writes_once_and_only_here(output: Output) -> None:
    elsewhere = io.StringIO()
    chatty = logging.getLogger("tests.chatty")
    chatty.addHandler(logging.StreamHandler(elsewhere))
    chatty.propagate = False
    logs.configure("sla", "relay", stream=output.stream)
    chatty.warning("once")
    assert (output.only["event"], elsewhere.getvalue()) == ("once", "")


def test_the_level_is_a_threshold_for_all(output: Output) -> None:
    logs.configure("tickets", "api", level="warning", stream=output.stream)
    log.info("not this")
    logging.getLogger("uvicorn.error").info("nor this")
    log.warning("this")
    assert output.only["event"] == "this"


def test_warnings_are_lines_too(output: Output) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(True)
        warnings.warn("old thing", UserWarning, stacklevel=1)
    assert "old thing" in output.only["event"]


@pytest.mark.parametrize(
    "given",
    [
        {"authorization": f"Bearer {CANARY}-long-enough"},
        {"Authorization": f"Basic {CANARY}"},
        {"headers": {"Authorization": CANARY, "cookie": CANARY}},
        {"password": CANARY},
        {"database": {"owner_password": CANARY, "passwd": CANARY}},
        {"client_secret": CANARY},
        {"access_token": CANARY},
        {"token": CANARY},
        {"api_key": CANARY},
        {"url": f"postgresql://desk:{CANARY}@db:5432/tickets"},
        {"text": f"the header was: authorization: Bearer {CANARY}-long-enough"},
        {"text": f"Authorization: Basic {CANARY}"},
        {"text": str([(b"authorization", b"Basic " + CANARY.encode())])},
        {"text": f"password={CANARY}&user=ana"},
        {"text": f'{{"client_secret": "{CANARY}"}}'},
        {"deep": [({"x": [{"password": CANARY}]},)]},
        {"setting": SecretStr(CANARY)},
    ],
)
def test_secrets_are_not_written(output: Output, given: dict[str, Any]) -> None:
    log.info("said", **given)
    assert output.lines
    assert CANARY not in output.text


def test_a_token_is_not_written_wherever_it_stands(output: Output) -> None:
    seen = f"token {TOKEN} seen"
    log.info(seen, where=f"in {TOKEN}", who=[TOKEN])
    logging.getLogger("httpx2").warning("Bearer %s", TOKEN)
    assert len(output.lines) == 2
    assert TOKEN.split(".")[2] not in output.text


def test_words_that_only_look_like_secrets_are_written(output: Output) -> None:
    text = "Send a bearer token; the basic rules of authorization are no secret of ours: https://desk/docs#password"
    log.info("told", text=text, author="ana", tokens=3)
    assert (output.only["text"], output.only["author"], output.only["tokens"]) == (text, "ana", 3)


def test_an_event_is_written_without_its_personal_fields(output: Output) -> None:
    event = reported()
    log.info("received", data=event)
    log.info("several", data=[event], by_key={"a": event})
    log.info(event)
    logging.getLogger("library").warning("got %s", event)
    assert len(output.lines) == 4
    assert CANARY not in output.text
    assert output.lines[0]["data"] == {
        "ticket_id": "T-1",
        "contact": {"role": "user"},
        "contacts": [{"role": "user"}, {"role": "user"}],
    }


def test_a_sealed_event_keeps_its_cause_and_loses_what_is_personal(output: Output) -> None:
    now = datetime(2026, 11, 2, tzinfo=UTC)
    cause = Cause(actor="ana", occurred_at=now, recorded_at=now, correlation_id="c-1")
    log.info("sealed", sealed=Sealed(id=UUID(int=1), data=reported(), cause=cause))
    assert CANARY not in output.text
    assert output.only["sealed"]["cause"]["actor"] == "ana"
    assert output.only["sealed"]["data"]["ticket_id"] == "T-1"


def test_the_personal_fields_of_a_model_are_found_through_lists_and_options() -> None:
    assert personal_fields(Reported) == {"told", "phones", "email"}
    assert personal_fields(Contact) == {"name"}


def test_an_error_is_told_with_its_chain_and_without_secrets(output: Output) -> None:
    try:
        try:
            raise ConnectionError(f"postgresql://desk:{CANARY}@db/tickets refused")
        except ConnectionError as cause:
            raise RuntimeError("could not start") from cause
    except RuntimeError:
        log.exception("failed")
        logging.getLogger("library").exception("failed there")
    for line in output.lines:
        assert line["error"] == "RuntimeError"
        assert "ConnectionError: postgresql://desk:[redacted]@db/tickets refused" in line["traceback"]
        assert line["traceback"].rstrip().endswith("RuntimeError: could not start")
        assert "test_logs.py" in line["traceback"]
    assert CANARY not in output.text


def test_an_error_that_quotes_its_input_is_told_without_it(output: Output) -> None:
    class Strict(BaseModel):
        number: int

    with pytest.raises(ValidationError) as invalid:
        Strict.model_validate({"number": CANARY})
    answer = ResponseValidationError([{"type": "int", "loc": ("response",), "msg": "x", "input": CANARY}])
    original = Exception(f"duplicate key\nDETAIL:  Key (name)=({CANARY}) already exists.")
    row = IntegrityError("INSERT INTO people VALUES ($1)", {"name": CANARY}, original)
    for error in (invalid.value, answer, row, ExceptionGroup("several", [row, invalid.value])):
        log.error("failed", exc_info=error)
        log.error("failed", reason=error)
    assert len(output.lines) == 8
    assert CANARY not in output.text
    assert "number: int_parsing" in output.text
    assert "INSERT INTO people" in output.text


def test_anything_can_be_logged(output: Output) -> None:
    @dataclass
    class Thing:
        at: datetime
        inner: object

    loop: dict[str, Any] = {}
    loop["again"] = loop
    nested: Any = "end"
    for _ in range(50):
        nested = [nested]
    log.info("odd", thing=Thing(datetime(2026, 1, 1, tzinfo=UTC), b"\xff"), loop=loop, nested=nested, half="\ud800")
    log.info("more", nan=float("nan"), names={1: "a"}, type=int, long="x" * 100_000)
    assert len(output.text.splitlines()) == 2
    assert len(output.text) < 25_000


@pytest.mark.parametrize(
    "said",
    [
        f"violates check\nDETAIL:  Failing row contains (1, Hola\n{CANARY} tel, null).",
        f"invalid input for query argument $3: '{CANARY}\n {CANARY}' (expected str, got int)",
        f'invalid input syntax for type integer: "{CANARY}"',
        f'value "{CANARY}" is out of range for type integer',
        f'malformed array literal: "{CANARY}"',
    ],
)
def test_what_a_database_quotes_of_a_value_is_not_written(said: str) -> None:
    assert CANARY not in redact_text(said)
    assert redact_text(said)[:6] == said[:6]


def test_a_text_without_secrets_is_unchanged() -> None:
    text = "El cliente no puede facturar: error 500 en https://afip.example/ws?a=1 (módulo ventas)"
    assert redact_text(text) == text


def test_before_it_is_configured_a_process_shows_no_local_variables() -> None:
    program = """
from shared.telemetry import logs
secret = "CANARY" + "-4711"
def fail():
    local = secret
    raise RuntimeError("early")
try:
    fail()
except RuntimeError:
    logs.get_logger("early").exception("failed")
"""
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=30)
    assert "RuntimeError: early" in told.stderr
    assert CANARY not in told.stderr + told.stdout
