"""Rights on a test's own broker, set over the client's protocol: for tests that ask what a right does."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from aiokafka.errors import for_code
from aiokafka.protocol.admin import CreateAclsRequest, DeleteAclsRequest, DescribeAclsRequest

from shared.messaging.access import Access
from shared.messaging.kafka import Cluster, admin
from tests.support.eventually import eventually

# The numbers of Kafka's protocol.
ANY = 1
RESOURCES = {"topic": 2, "group": 3, "transactional-id": 5}
OPERATIONS = {"read": 3, "write": 4}
LITERAL, PREFIXED = 3, 4
ALLOW = 3


class Right(NamedTuple):
    """One right as the cluster keeps it."""

    resource: int
    name: str
    pattern: int
    principal: str
    host: str
    operation: int
    permission: int

    @classmethod
    def of(cls, granted: Access) -> Right:
        """A right of the registry."""
        pattern = PREFIXED if granted.prefixed else LITERAL
        who, operation = f"User:{granted.principal}", OPERATIONS[granted.operation]
        return cls(RESOURCES[granted.resource], granted.name, pattern, who, "*", operation, ALLOW)


async def allow(cluster: Cluster, rights: Iterable[Right]) -> None:
    """Grants them, and waits: the controller takes them at once, and the broker hears of them a moment later."""
    granted = set(rights)
    async with admin(cluster) as client:
        for one in sorted(granted):
            answer = await client._send_request(CreateAclsRequest(*one))
            for code, why, *_ in answer.creation_responses:
                assert not code, why

    async def known() -> bool:
        return granted <= await rights_on(cluster)

    await eventually(known, within=60)


async def forbid_all(cluster: Cluster) -> None:
    """Takes every right away that anybody has."""
    async with admin(cluster) as client:
        answer = await client._send_request(DeleteAclsRequest(ANY, None, ANY, None, None, ANY, ANY))
    for code, why, *_ in answer.filter_responses:
        assert not code, why


async def rights_on(cluster: Cluster) -> set[Right]:
    """Everything that anybody may do. Raises KafkaError where nobody is told."""
    async with admin(cluster) as client:
        answer = await client._send_request(DescribeAclsRequest(ANY, None, ANY, None, None, ANY, ANY))
    if answer.error_code:
        raise for_code(answer.error_code)(answer.error_message)
    return {
        Right(resource, name, pattern, *right)
        for resource, name, pattern, rights in answer.resources
        for right in rights
    }
