"""The envelope of every event: CloudEvents 1.0 over Kafka, binary mode written, structured mode read as well."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Generic, Literal, TypeVar
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from shared.contracts.personal import personal_fields

Origin = Literal["live", "import"]
Headers = Sequence[tuple[str, bytes | None]]

T = TypeVar("T")


# The id of a record of reference data: chosen once, never changed, safe in a URL and in a Kafka key.
Code = Annotated[str, Field(pattern=r"^[a-z0-9-]{2,40}$", json_schema_extra={"examples": ["acme-srl"]})]


class Part(BaseModel):
    """A piece of an event: immutable, and tolerant of fields that a newer release added."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        """Without personal fields: an event that ends up in a message or a traceback must not tell them."""
        hidden = personal_fields(type(self))
        return ((name, value) for name, value in super().__repr_args__() if name not in hidden)


class Event(Part):
    """The data of one event type. A subclass names its wire type and says what it is about."""

    type: ClassVar[str]

    def subject(self) -> str:
        """The id of the aggregate that this event is about."""
        raise NotImplementedError

    def key(self) -> str:
        """The Kafka key: events of one key are delivered in order."""
        return self.subject()

    def told_apart_by(self) -> tuple[object, ...]:
        """What makes it another fact, beside its cause, where the owner's database chose that: it is in the id."""
        return ()


class StateRecord(Event):
    """The whole present state of one record of reference data, on a compacted topic; `retired`, never a tombstone."""

    noun: ClassVar[str]
    id: Code
    retired: bool = False

    def subject(self) -> str:
        return f"{self.noun}:{self.id}"


E = TypeVar("E", bound=Event, covariant=True)


@dataclass(frozen=True, slots=True)
class Cause:
    """Who did what, when, and because of what: handed to every command and written into everything that it causes.

    `occurred_at` is when it happened in the world, `recorded_at` when this system took note of it (both UTC).
    """

    actor: str
    occurred_at: datetime
    recorded_at: datetime
    correlation_id: str
    causation_id: str | None = None
    origin: Origin = "live"
    traceparent: str | None = None

    def taken_up(self, at: datetime) -> Cause:
        """The same cause, recorded at this instant. It happened then too, unless somebody dated it before."""
        was_dated = self.occurred_at < self.recorded_at
        return replace(self, occurred_at=min(self.occurred_at, at) if was_dated else at, recorded_at=at)


@dataclass(frozen=True, slots=True)
class Sealed(Generic[E]):
    """An event with its identity and its cause, ready to be recorded and published."""

    id: UUID
    data: E
    cause: Cause


@dataclass(frozen=True, slots=True)
class Received(Generic[E]):
    """An event as a consumer sees it. `sequence` is strictly increasing per subject within its source."""

    id: UUID
    source: str
    type: str
    subject: str
    key: str
    sequence: int
    occurred_at: datetime
    recorded_at: datetime
    origin: Origin
    actor: str
    correlation_id: str
    causation_id: str | None
    traceparent: str | None
    data: E
    # Told again for a rebuild: a projection writes it where the rebuild wants it, and nothing else may follow from it.
    replayed: bool = False

    def cause(self, *, actor: str, recorded_at: datetime) -> Cause:
        """The cause of whatever a reaction to this event does, at the same instant of the world.

        It is recorded after the event, also where this host's clock is behind that of the event's owner.
        """
        return Cause(
            actor=actor,
            occurred_at=self.occurred_at,
            recorded_at=max(recorded_at, self.recorded_at),
            correlation_id=self.correlation_id,
            causation_id=str(self.id),
            origin=self.origin,
            traceparent=self.traceparent,
        )


class InvalidMessage(Exception):
    """A record that is not an event of this language; says which header or field is wrong."""


class _Attributes(BaseModel):
    """The CloudEvents attributes that this language requires, as they stand in the headers."""

    model_config = ConfigDict(extra="ignore")

    specversion: Literal["1.0"]
    id: UUID
    source: str = Field(min_length=1)
    type: str = Field(min_length=1)
    subject: str = Field(min_length=1)
    time: AwareDatetime
    recordedtime: AwareDatetime
    sequence: str = Field(pattern=r"^[0-9]{1,19}$")
    origin: Origin
    actor: str = Field(min_length=1)
    correlationid: str = Field(min_length=1)
    causationid: str | None = None
    traceparent: str | None = None


_data_attributes = TypeAdapter(dict[str, Any])

# The years of all instants that are told: beyond them an offset, a term of notice or a column overflows.
FIRST_YEAR, LAST_YEAR = 1970, 2199
# What fits into the BIGINT in which every consumer keeps it.
_LARGEST_SEQUENCE = 2**63 - 1
_CONTENT_TYPE = "content-type"
_CONTENT_TYPE_LENGTH = len(_CONTENT_TYPE)


def instant(at: datetime) -> str:
    """An aware instant as RFC 3339 in UTC with microseconds, so that equal instants are equal texts.

    Raises ValueError for a naive one: the machine's own zone must not decide what it means.
    """
    if at.tzinfo is None:
        raise ValueError("an instant needs a time zone")
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def headers_of(
    *, id: UUID, source: str, type: str, subject: str, sequence: int, cause: Cause
) -> list[tuple[str, bytes]]:
    """The Kafka headers of one event, in CloudEvents binary mode."""
    attributes = {
        "specversion": "1.0",
        "id": str(id),
        "source": source,
        "type": type,
        "subject": subject,
        "time": instant(cause.occurred_at),
        "recordedtime": instant(cause.recorded_at),
        "dataschema": f"urn:desk:schema:{type}",
        "sequence": f"{sequence:019d}",
        "origin": cause.origin,
        "actor": cause.actor,
        "correlationid": cause.correlation_id,
        "causationid": cause.causation_id,
        "traceparent": cause.traceparent,
    }
    written = [(f"ce_{name}", text.encode()) for name, text in attributes.items() if text is not None]
    return [*written, ("content-type", b"application/json")]


def type_of(headers: Headers, value: bytes | None) -> str | None:
    """The event type of a record without reading the rest, or None when it states none that can be read."""
    return _stated(headers, value, "type")


def is_imported(headers: Headers, value: bytes | None = None) -> bool:
    """Whether a record says that it is history which was taken over; what says nothing is live."""
    return _stated(headers, value, "origin") == "import"


def id_of(headers: Headers, value: bytes | None = None) -> UUID | None:
    """The event id of a record that may be invalid otherwise; None when there is none."""
    stated = _stated(headers, value, "id")
    try:
        return UUID(stated) if stated is not None else None
    except ValueError:
        return None


def read(headers: Headers, key: bytes | None, value: bytes | None, known: Mapping[str, type[E]]) -> Received[E]:
    """Reads one Kafka record into an event of a known type.

    Raises InvalidMessage when an attribute is missing or wrong, the type is not in `known`, or the data do not fit. Its
    message names the attribute or the field and never quotes what stands there: that may be personal.
    """
    if key is None:
        raise InvalidMessage("the record has no key")
    stated, body = _structured(value) if _is_structured(headers) else (_binary_attributes(headers), value)
    attributes = _attributes(stated)
    model = known.get(attributes.type)
    if model is None:
        raise InvalidMessage("ce_type: the event type is not known here")
    try:
        data = model.model_validate_json(body or b"")
    except ValidationError as error:
        raise InvalidMessage(_first_problem(error, "data.")) from error
    return Received(
        id=attributes.id,
        source=attributes.source,
        type=attributes.type,
        subject=attributes.subject,
        key=_key(key),
        sequence=int(attributes.sequence),
        occurred_at=attributes.time.astimezone(UTC),
        recorded_at=attributes.recordedtime.astimezone(UTC),
        origin=attributes.origin,
        actor=attributes.actor,
        correlation_id=attributes.correlationid,
        causation_id=attributes.causationid,
        traceparent=attributes.traceparent,
        data=data,
    )


def _stated(headers: Headers, value: bytes | None, attribute: str) -> str | None:
    """One attribute alone: most records of a topic may be of no interest, and their others need not be read."""
    try:
        text = (
            _structured(value)[0].get(attribute) if _is_structured(headers) else _binary_attribute(headers, attribute)
        )
    except InvalidMessage:
        return None
    return text if isinstance(text, str) and "\0" not in text else None


def _binary_attribute(headers: Headers, attribute: str) -> str | None:
    wanted = f"ce_{attribute}"
    found = [text for name, text in headers if name == wanted and text is not None]
    try:
        return found[0].decode() if len(found) == 1 else None
    except UnicodeDecodeError:
        return None


def _attributes(stated: Mapping[str, Any]) -> _Attributes:
    # PostgreSQL stores no NUL: such a text could be neither applied nor parked.
    for name, text in stated.items():
        if isinstance(text, str) and "\0" in text:
            raise InvalidMessage(f"ce_{name}: a NUL character")
    try:
        attributes = _Attributes.model_validate(stated)
    except ValidationError as error:
        raise InvalidMessage(_first_problem(error, "ce_")) from error
    for name, at in (("time", attributes.time), ("recordedtime", attributes.recordedtime)):
        # A reaction carries the time of its cause, and a database takes the first instant of all for -infinity.
        if not FIRST_YEAR <= at.year <= LAST_YEAR:
            raise InvalidMessage(f"ce_{name}: not of the years {FIRST_YEAR} to {LAST_YEAR}")
    if int(attributes.sequence) > _LARGEST_SEQUENCE:
        raise InvalidMessage("ce_sequence: larger than any position of an archive")
    return attributes


def _key(key: bytes) -> str:
    try:
        text = key.decode()
    except UnicodeDecodeError as error:
        raise InvalidMessage("the key is not UTF-8") from error
    if not text or "\0" in text:
        raise InvalidMessage("the key is empty or has a NUL character")
    return text


def _binary_attributes(headers: Headers) -> dict[str, str]:
    attributes: dict[str, str] = {}
    for name, text in headers:
        if not name.startswith("ce_") or text is None:
            continue
        if name[3:] in attributes:
            raise InvalidMessage(f"{name}: stated twice")
        try:
            attributes[name[3:]] = text.decode()
        except UnicodeDecodeError as error:
            raise InvalidMessage(f"{name}: not UTF-8") from error
    return attributes


def _is_structured(headers: Headers) -> bool:
    for name, text in headers:
        # The length first: this is asked of every header of every record.
        is_type = len(name) == _CONTENT_TYPE_LENGTH and name.lower() == _CONTENT_TYPE
        if is_type and (text or b"").lower().startswith(b"application/cloudevents+json"):
            return True
    return False


def _structured(value: bytes | None) -> tuple[dict[str, Any], bytes]:
    try:
        whole = _data_attributes.validate_json(value or b"")
        encoded = whole.pop("data_base64", None)
        data = json.dumps(whole.pop("data", None)).encode() if encoded is None else b64decode(encoded, validate=True)
    except (ValidationError, ValueError, TypeError) as error:
        raise InvalidMessage("the structured event is not a JSON object with data") from error
    return whole, data


def _first_problem(error: ValidationError, prefix: str) -> str:
    """Where the first problem is and what it is, without the offending input: that may be personal."""
    first = error.errors(include_input=False, include_url=False)[0]
    where = prefix + ".".join(str(part) for part in first["loc"])
    # The parsers of ids quote the character that they stumbled upon.
    told = "not a UUID" if first["type"] == "uuid_parsing" else first["msg"]
    return f"{where.rstrip('._')}: {told}"
