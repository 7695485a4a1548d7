"""Who sends and who receives: the catalogue against the source of the services and what FastStream subscribes to."""

from __future__ import annotations

import ast
import importlib
import json
from collections.abc import Iterable, Iterator

import pytest
from faststream.kafka import KafkaBroker
from faststream.specification import AsyncAPI

from shared.contracts.consumers import CONSUMERS, PROJECTED, services
from shared.contracts.topics import BY_TYPE, TOPIC_OF, TOPICS, topic_of
from shared.db.engine import make_engine
from shared.messaging import consumer as consumer_module
from shared.messaging import framing
from shared.messaging.consumer import Consumer
from shared.messaging.kafka import Cluster
from shared.messaging.reactions import Reactions, collect
from tests.rules.source import SERVICES, Module, called, chain, imports, product, snippet

# What the aggregates call them by which they tell what happened.
MAKERS = {"fact_of", "_happening"}
CLASSES = {f"{event.__module__}.{event.__name__}": event.type for event in BY_TYPE.values()}


def reactions_of(service: str) -> Reactions:
    """What a service's subscribers are marked with."""
    return collect(importlib.import_module(f"{service}.subscribers"))


def arms(argument: ast.expr) -> Iterator[ast.expr]:
    """An argument, or both that it may be."""
    if isinstance(argument, ast.IfExp):
        yield from (*arms(argument.body), *arms(argument.orelse))
    else:
        yield argument


def told(module: Module) -> set[str]:
    """The event types that a module makes: a class that is called, or handed to what makes facts of an aggregate."""
    names = {full.rpartition(".")[2]: CLASSES[full] for _, full in imports(module) if full in CLASSES}
    made = set()
    for node in module.nodes():
        if not isinstance(node, ast.Call):
            continue
        # `TicketOpened(...)`, `tickets.TicketOpened(...)`, and `TicketOpened.model_construct(...)`
        parts = called(node).split(".")
        made |= {part for part in parts[-2:] if parts[-1] == part or parts[-1].startswith("model_")}
        if parts[-1] in MAKERS:
            made |= {chain(arm).rpartition(".")[2] for argument in node.args for arm in arms(argument)}
    by_name = {full.rpartition(".")[2]: type_name for full, type_name in CLASSES.items()}
    whole_modules = {
        full for _, full in imports(module) if full.startswith("shared.contracts.") and full not in CLASSES
    }
    return {by_name[name] for name in made if name in names or (whole_modules and name in by_name)}


def publishers(modules: Iterable[Module]) -> dict[str, set[str]]:
    """The types that the source of each service makes."""
    found: dict[str, set[str]] = {service: set() for service in SERVICES}
    for module in modules:
        if module.in_service:
            found[module.member] |= told(module)
    return found


def test_the_catalogue_knows_the_same_services_as_the_rules() -> None:
    assert set(services()) == set(CONSUMERS) == set(SERVICES)


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_reacts_to_what_the_catalogue_says(service: str) -> None:
    declared = CONSUMERS[service]
    assert set(reactions_of(service).known) == {event.type for event in declared}, "shared/contracts/consumers.py"
    assert len(set(declared)) == len(declared)


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_projects_what_the_catalogue_says(service: str) -> None:
    assert set(reactions_of(service).projected) == set(PROJECTED.get(service, ())), "shared/contracts/consumers.py"


@pytest.mark.parametrize("service", SERVICES)
def test_no_service_listens_to_itself(service: str) -> None:
    assert [event.type for event in CONSUMERS[service] if topic_of(event).owner == service] == []


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_publishes_all_types_of_its_topics_and_no_others(service: str) -> None:
    owned = {event.type for topic in TOPICS if topic.owner == service for event in topic.events}
    assert publishers(product())[service] == owned


@pytest.mark.parametrize(
    "text",
    [
        "from shared.contracts.sla import SlaClockMet\nevent = SlaClockMet(clock_id=1)",
        "from shared.contracts.sla import SlaClockMet\nevent = SlaClockMet.model_construct(clock_id=1)",
        "from shared.contracts.sla import SlaClockMet\nevent = self.fact_of(SlaClockMet, clock_id=1)",
        "from shared.contracts.sla import SlaClockMet\ntold = self._happening(at, SlaClockMet, reached=1)",
        "from shared.contracts.sla import SlaClockMet\ntold = self._happening(at, SlaClockMet if x else None)",
        "from shared.contracts import sla\nevent = sla.SlaClockMet(clock_id=1)",
    ],
)
def test_a_type_that_is_made_elsewhere_is_seen(text: str) -> None:
    assert publishers([snippet("tickets.commands", text)])["tickets"] == {"desk.sla-clock.met.v1"}
    assert TOPIC_OF["desk.sla-clock.met.v1"].owner != "tickets"


@pytest.mark.parametrize(
    "text",
    [
        "from shared.contracts.sla import SlaClockMet\n@reacts_to(SlaClockMet, many=True)\nasync def show(tx, e): pass",
        "from shared.contracts.sla import SlaClockMet\nknown = isinstance(event, SlaClockMet)",
        "from shared.contracts.sla import SlaClockMet\nmeaning = {SlaClockMet: 1}",
        "from shared.contracts.sla import SlaClockMet\nfact = self.fact_of(Held if x is SlaClockMet else Released)",
        "from tickets.domain.clock import SlaClockMet\nview = SlaClockMet(1)",
    ],
)
def test_a_type_that_is_only_received_is_not_taken_for_published(text: str) -> None:
    assert publishers([snippet("tickets.projections", text)])["tickets"] == set()


class Captured(Exception):
    """The consumer got as far as starting its broker."""


async def subscribed_addresses(service: str, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The topics that FastStream itself names when a service's consumer has subscribed, as the product does."""
    brokers: list[KafkaBroker] = []

    class CapturingBroker(KafkaBroker):
        """FastStream's broker, which is never started."""

        async def start(self) -> None:
            """Instead of connecting."""
            brokers.append(self)
            raise Captured

    async def nothing_is_missing(cluster: Cluster, topics: Iterable[str]) -> list[str]:
        return []

    monkeypatch.setattr(framing, "KafkaBroker", CapturingBroker)
    monkeypatch.setattr(consumer_module, "missing_topics", nothing_is_missing)
    engine = make_engine("postgresql://never", application="never")
    cluster = Cluster("never:9092", "p.")
    consumer = Consumer(
        service=service, engine=engine, cluster=cluster, reactions=reactions_of(service), hint=lambda: None
    )
    with pytest.raises(Captured):
        await consumer.run()
    (broker,) = brokers
    described = json.loads(AsyncAPI(broker).to_specification().to_json())
    return {described["channels"][name]["address"] for name in described["channels"]}


@pytest.mark.parametrize("service", SERVICES)
async def test_faststream_subscribes_to_the_topics_of_the_catalogue(
    service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = {f"p.{topic_of(event).name}" for event in CONSUMERS[service]}
    assert await subscribed_addresses(service, monkeypatch) == expected
