"""Setting users and rights on a cluster, so that those on our topics are the registry's."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import structlog
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import for_code
from aiokafka.protocol.admin import CreateAclsRequest, DeleteAclsRequest, DescribeAclsRequest
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    CompactArray,
    CompactBytes,
    CompactString,
    Int8,
    Int16,
    Int32,
    Schema,
    TaggedFields,
)

from shared.errors import Conflict
from shared.messaging.access import Access
from shared.messaging.kafka import Cluster, admin

log = structlog.get_logger(__name__)

# The numbers of Kafka's protocol.
ANY = 1
RESOURCES = {"topic": 2, "group": 3, "transactional-id": 5}
OPERATIONS = {"read": 3, "write": 4}
LITERAL, PREFIXED = 3, 4
ALLOW = 3
SCRAM_SHA_512 = 2
EVERYWHERE = "*"
ITERATIONS = 8192


class GrantRefused(Conflict):
    """The cluster would not set a user or a right; the message says which and why."""

    code = "grant-refused"
    title = "The cluster refused a user or a right"


class AlterUsersResponse(Response):
    """What the cluster says of each user."""

    API_KEY = 51
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "results",
            CompactArray(
                ("user", CompactString("utf-8")),
                ("error_code", Int16),
                ("error_message", CompactString("utf-8")),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class AlterUsersRequestV0(RequestStruct):
    """AlterUserScramCredentials, which the client library does not have."""

    API_KEY = 51
    API_VERSION = 0
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = AlterUsersResponse
    SCHEMA = Schema(
        ("deletions", CompactArray(("name", CompactString("utf-8")), ("mechanism", Int8), ("tags", TaggedFields))),
        (
            "upsertions",
            CompactArray(
                ("name", CompactString("utf-8")),
                ("mechanism", Int8),
                ("iterations", Int32),
                ("salt", CompactBytes),
                ("salted_password", CompactBytes),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class AlterUsersRequest(Request[AlterUsersRequestV0]):
    """Sets the passwords of users."""

    API_KEY = 51

    def __init__(self, upsertions: list[tuple[Any, ...]]) -> None:
        self._upsertions = upsertions

    def build(self, request_struct_class: type[AlterUsersRequestV0]) -> AlterUsersRequestV0:
        """The request in the version that the broker takes."""
        return request_struct_class([], self._upsertions, {})


class Entry(NamedTuple):
    """One right as the cluster keeps it."""

    resource: int
    name: str
    pattern: int
    principal: str
    host: str
    operation: int
    permission: int

    @classmethod
    def of(cls, granted: Access) -> Entry:
        """A right of the registry."""
        pattern = PREFIXED if granted.prefixed else LITERAL
        who, operation = f"User:{granted.principal}", OPERATIONS[granted.operation]
        return cls(RESOURCES[granted.resource], granted.name, pattern, who, EVERYWHERE, operation, ALLOW)


@dataclass(frozen=True)
class Applied:
    """What was changed."""

    added: int
    removed: int
    kept: int


async def apply(cluster: Cluster, granted: Iterable[Access]) -> Applied:
    """Grants what is missing, and takes away what these principals, or anybody on these topics, may do beyond it.

    Rights that reach these topics by a prefix or on everything are told in a warning and left alone. A principal that
    is no longer named loses its topics; its user and its groups, which give nothing without topics, stay. Running it
    again changes nothing. Raises GrantRefused, and KafkaError when no broker answers.
    """
    wanted = {Entry.of(one) for one in granted}
    principals = {one.principal for one in wanted}
    topics = {one.name for one in wanted if one.resource == RESOURCES["topic"]}
    async with admin(cluster) as client:
        present = await _present(client)
        ours = {
            one
            for one in present
            if one.principal in principals or (one.resource == RESOURCES["topic"] and one.name in topics)
        }
        for one in sorted(present - ours):
            if one.resource == RESOURCES["topic"] and _covers(one, topics):
                # Not ours to take away, it may be of the whole cluster; but somebody must know of it.
                log.warning(
                    "a wider right reaches these topics", right=one.principal, on=one.name, allowed=one.permission
                )
        for one in sorted(wanted - ours):
            await _ask(client, CreateAclsRequest(*one), one)
        for one in sorted(ours - wanted):
            await _ask(client, DeleteAclsRequest(*one), one)
    return Applied(len(wanted - ours), len(ours - wanted), len(wanted & ours))


def _covers(entry: Entry, topics: Collection[str]) -> bool:
    """Whether a right by prefix, or on everything, is one on some of these topics."""
    if entry.pattern == PREFIXED:
        return any(topic.startswith(entry.name) for topic in topics)
    return entry.name == "*"


async def set_passwords(cluster: Cluster, passwords: Mapping[str, str]) -> None:
    """Makes users, or gives them other passwords; only what is derived from a password travels.

    Raises GrantRefused, and KafkaError when no broker answers.
    """
    changes: list[tuple[Any, ...]] = []
    for name, password in passwords.items():
        salt = secrets.token_bytes(32)
        salted = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, ITERATIONS)
        changes.append((name, SCRAM_SHA_512, ITERATIONS, salt, salted, {}))
    async with admin(cluster) as client:
        answer = await client._send_request(AlterUsersRequest(changes))  # noqa: SLF001  it has no name for this request
    if refused := [f"{user}: {for_code(code).__name__} {why or ''}" for user, code, why, _ in answer.results if code]:
        raise GrantRefused("; ".join(refused))


async def _present(client: AIOKafkaAdminClient) -> set[Entry]:
    request = DescribeAclsRequest(ANY, None, ANY, None, None, ANY, ANY)
    answer = await client._send_request(request)  # noqa: SLF001  it has no name for this request
    if answer.error_code:
        raise GrantRefused(f"{for_code(answer.error_code).__name__} {answer.error_message or ''}".strip())
    return {
        Entry(resource, name, pattern, *right)
        for resource, name, pattern, rights in answer.resources
        for right in rights
    }


async def _ask(client: AIOKafkaAdminClient, request: Any, about: Entry) -> None:
    answer = await client._send_request(request)  # noqa: SLF001  it has no name for this request
    outcomes = answer.creation_responses if hasattr(answer, "creation_responses") else answer.filter_responses
    if refused := [f"{for_code(each[0]).__name__} {each[1] or ''}" for each in outcomes if each[0]]:
        raise GrantRefused(f"{about.principal} on {about.name}: {'; '.join(refused)}")
