"""Nothing personal and nothing secret is written anywhere but where it belongs, whatever goes wrong meanwhile."""

from __future__ import annotations

import asyncio
import json
import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from aiokafka import AIOKafkaProducer

from runner.installation import SERVICES, Installation
from shared.contracts.topics import TICKETS, TOPICS
from shared.ids import new_id
from tests.contracts.messages import example, record_of
from tests.journeys.canaries import Canaries, Sighting, files_with, places, secret_text, sightings
from tests.journeys.desk import act, has_reacted, open_ticket, until, view
from tests.support.collector import Collector, collecting
from tests.support.eventually import eventually
from tests.support.installations import brought_up, rows, say
from tests.support.urgency import impact_of

PERSONAS = ("agent", "supervisor", "implementer", "developer")
# Where data and secrets are kept on purpose; everything else below the state folder is searched.
KEPT = ("postgres", "kafka", "cache", "passwords", "issuer")
PRIVATE = ("passwords", "issuer")
# A row with this in its text is refused by a constraint that the test adds, so that the database quotes the row.
REFUSED = "boom"
TELLING = ("/livez", "/readyz", "/metrics", "/openapi.json", "/asyncapi.json")


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with collecting() as made:
        yield made


@pytest.fixture(scope="module")
def secrets_given() -> Canaries:
    """What the processes are told and must keep to themselves."""
    return Canaries()


@pytest.fixture(scope="module")
def desk(
    tmp_path_factory: pytest.TempPathFactory, collector: Collector, secrets_given: Canaries
) -> Iterator[Installation]:
    """A whole installation that logs as much as it can."""
    told = {
        "DESK_LOG_LEVEL": "debug",
        "DESK_KAFKA_PASSWORD": secrets_given.plant("password of Kafka"),
        "OTEL_EXPORTER_OTLP_HEADERS": f"authorization={secrets_given.plant('key of the collector')}",
        **collector.environment(),
    }
    with brought_up(tmp_path_factory.mktemp("canaries"), **told) as installation:
        yield installation


class Story:
    """One installation, its callers, and what was planted in it."""

    def __init__(self, installation: Installation, secret: Canaries) -> None:
        self.installation = installation
        self.personal, self.secret, self.own, self.injected = Canaries(), secret, Canaries(), Canaries()
        self.tokens = {persona: say(installation, "token", "--as", persona).stdout.strip() for persona in PERSONAS}
        for persona, token in self.tokens.items():
            secret.add(f"token of {persona}", token.rpartition(".")[2])
        for folder in PRIVATE:
            for path in (installation.state / folder).rglob("*"):
                if path.is_file():
                    secret.add(str(path.relative_to(installation.state)), secret_text(path))

    def client(self, service: str = "tickets", persona: str = "supervisor") -> httpx2.AsyncClient:
        head = {"authorization": f"Bearer {self.tokens[persona]}"}
        return httpx2.AsyncClient(base_url=self.installation.url_of(service), headers=head, timeout=20)

    async def sql(self, service: str | None, statement: str) -> list[Any]:
        """A statement of the administrator."""
        return await rows(self.installation, service, statement)

    # -- what happens ---------------------------------------------------------------------------------------------

    async def work(self) -> str:
        """The main job, with a canary in every field that is personal."""
        plant = self.personal.plant
        facts = {"name": "Canario S.A.", "tier": "oro", "contact": plant("contact"), "phone": plant("phone")}
        async with self.client("inventory") as inventory:
            assert (await inventory.put("/v1/clients/canario", json=facts)).status_code == 200
        async with self.client() as desk:
            opened = await open_ticket(
                desk,
                severity=1,
                title=plant("title"),
                description=plant("description"),
                reporter=plant("reporter"),
                reported_at=(datetime.now(UTC) - timedelta(hours=1)).isoformat(),
                reported_late_reason=plant("reason of the late registration"),
            )
            ticket = str(opened["id"])
            # Its response was due long ago: the call for that is a version of its own, which whoever acts has seen.
            await until(desk, ticket, lambda seen: has_reacted(seen) and seen["attention"])
            await act(desk, ticket, "respond", text=plant("what the client was told"))
            await act(desk, ticket, "hold", reason="third-party", note=plant("note of the hold"))
            await act(desk, ticket, "release")
            await self._change_hands(desk, ticket)
            await until(desk, ticket, lambda seen: seen["tasks"])
            link = {"relation": "related", "other": (await open_ticket(desk))["number"]}
            await act(desk, ticket, "link", **link, reason=plant("why it was linked"))
            await act(desk, ticket, "unlink", **link, reason=plant("why it was linked no more"))
            await act(desk, ticket, "resolve", code="error-corregido", text=plant("how it was settled"))
            for path in ("/v1/clients", "/v1/tickets"):
                assert (await desk.get(path, params={"q": plant(f"search in {path}")})).status_code == 200
            head = {"x-correlation-id": self.own.plant("correlation id")}
            assert (await desk.get(f"/v1/tickets/{ticket}", headers=head)).status_code == 200
        return ticket

    async def _change_hands(self, desk: httpx2.AsyncClient, ticket: str) -> None:
        """Up, down and up again, and from hand to hand, each time with what is said of it; another one is cancelled."""
        plant = self.personal.plant
        await act(desk, ticket, "note", text=plant("note for the house"))
        await act(desk, ticket, "hand-over", owner="lucia.gomez", reason=plant("reason of the hand-over"))
        up = {"reason": plant("reason of the escalation"), "tried": plant("what was tried")}
        await act(desk, ticket, "escalate", target="analysts", **up)
        await act(desk, ticket, "de-escalate", reason=plant("reason of the de-escalation"))
        await act(desk, ticket, "resolve", code="error-corregido", text="x")
        await act(desk, ticket, "reopen", reason=plant("reason of the reopening"))
        await act(desk, ticket, "escalate", target="development", reason="x")
        other = await open_ticket(desk, severity=4)
        await act(desk, str(other["id"]), "cancel", reason=plant("reason of the cancellation"))

    async def be_refused(self) -> list[httpx2.Response]:
        """Requests that are wrong in a field that holds something personal."""
        plant, secret = self.personal.plant, self.secret.plant
        good = {
            "client_id": "canario",
            "product_id": "factela",
            "kind": "incident",
            "impact": impact_of(2),
            "title": "x",
        }
        bodies: list[dict[str, Any]] = [
            {**good, "title": plant("title with a bell") + "\a"},
            {**good, "title": plant("title with a NUL") + "\0"},
            {**good, "title": plant("title that is too long") * 50},
            {**good, "title": [plant("title in a list")]},
            {**good, "severity": plant("severity that is a text")},
            {**good, "reported_at": plant("instant that is a text")},
            {**good, "impact": {"operational": plant("answer that is a text")}},
            {**good, "callback": plant("field that is unknown")},
            {**good, "client_id": "nobody-at-all", "reporter": plant("reporter of a client that is unknown")},
        ]
        raw = [
            b'{"title": "%s"' % plant("body without an end").encode(),
            b'{"title": "%s", "title": ""}' % plant("title that stands twice").encode(),
            plant("body that is no JSON").encode(),
        ]
        async with self.client() as desk:
            answers = [await desk.post("/v1/tickets", json=body) for body in bodies]
            kind = {"content-type": "application/json"}
            answers += [await desk.post("/v1/tickets", content=body, headers=kind) for body in raw]
            answers += [
                await desk.get(f"/v1/tickets/{plant('path that is no id')}"),
                await desk.get("/v1/tickets", params={"q": plant("search that is too long") * 20}),
                await desk.get("/v1/tickets", params={"after": plant("cursor")}),
                await desk.get(f"/v2/{plant('path that leads nowhere')}"),
                await desk.get("/v1/me", headers={"authorization": f"Bearer {secret('token that is none')}"}),
                await desk.get("/v1/me", headers={"authorization": f"Basic {secret('credentials that are none')}"}),
            ]
        assert {answer.status_code for answer in answers} == {400, 401, 404, 422}
        return answers

    async def fail(self, ticket: str) -> list[httpx2.Response]:
        """A row that the database refuses, a reaction that fails, a message that is none, and no database at all."""
        answers = []
        await self._refuse("tickets", "tickets.tickets")
        await self._refuse("devlink", "devlink.tasks")
        async with self.client() as desk:
            title = f"{REFUSED} {self.personal.plant('title that the database refuses')}"
            body: dict[str, Any] = {
                "client_id": "canario",
                "product_id": "factela",
                "kind": "incident",
                "impact": impact_of(1),
                "title": title,
            }
            answers.append(await desk.post("/v1/tickets", json=body))
            assert answers[-1].status_code == 500
            await self._allow("tickets", "tickets.tickets")
            opened = await open_ticket(desk, **body)
            await act(desk, str(opened["id"]), "escalate", target="development", reason="error")
            await self._inject()
            await self._until_parked(str(opened["id"]))
            answers += await self._without_database(desk, ticket, body)
        return answers

    async def _refuse(self, service: str, table: str) -> None:
        await self.sql(
            service, f"ALTER TABLE {table} ADD CONSTRAINT canary CHECK (title NOT LIKE '{REFUSED}%') NOT VALID"
        )

    async def _allow(self, service: str, table: str) -> None:
        await self.sql(service, f"ALTER TABLE {table} DROP CONSTRAINT canary")

    async def _inject(self) -> None:
        """Records of somebody who does not know the language well."""
        record = record_of(example("desk.ticket.escalated.v1"))
        producer = AIOKafkaProducer(bootstrap_servers=f"127.0.0.1:{self.installation.ports['kafka']}")
        await producer.start()
        try:
            for key, value in {
                b"no-json": self.injected.plant("value that is no JSON").encode(),
                b"no-event": json.dumps({"ticket_id": self.injected.plant("id that is none")}).encode(),
            }.items():
                headers = record.having("ce_id", str(new_id()).encode()).headers
                await producer.send_and_wait(TICKETS.name, value, key=key, headers=list(headers))
        finally:
            await producer.stop()

    async def _until_parked(self, ticket: str) -> None:
        async def parked() -> bool:
            keys = {row["key"] for row in await self.sql("devlink", "SELECT key FROM runtime.parked")}
            return {ticket, "no-json", "no-event"} <= keys

        await eventually(parked, within=60, what="a refused reaction and two messages that are none are parked")

    async def _without_database(self, desk: httpx2.AsyncClient, ticket: str, body: Any) -> list[httpx2.Response]:
        title = self.personal.plant("title without a database")
        await self.sql(None, "ALTER ROLE desk_tickets_service CONNECTION LIMIT 0")
        try:
            await self.sql(
                None, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'desk_tickets'"
            )
            answers = [
                await desk.post("/v1/tickets", json={**body, "title": title}),
                await desk.get(f"/v1/tickets/{ticket}"),
                await desk.get("/readyz"),
            ]
        finally:
            await self.sql(None, "ALTER ROLE desk_tickets_service CONNECTION LIMIT -1")
        assert [answer.status_code for answer in answers] == [503, 503, 503]

        async def is_back() -> bool:
            return (await desk.get("/readyz")).status_code == 200

        await eventually(is_back, within=60)
        return answers


@pytest.mark.verify
@pytest.mark.timeout(900)
async def test_what_is_personal_or_secret_stands_only_where_it_belongs(
    desk: Installation, collector: Collector, secrets_given: Canaries
) -> None:
    story = Story(desk, secrets_given)
    ticket = await story.work()
    answers = [*await story.be_refused(), *await story.fail(ticket)]
    hidden = Canaries({**story.personal.planted, **story.secret.planted, **story.injected.planted})

    for answer in answers:
        assert hidden.within(answer.text) == set(), f"{answer.request.method} {answer.status_code}: {answer.text}"
    await require_silent_pages(story, hidden)
    require_silent_commands(desk, hidden)
    require_private_files(desk)
    assert files_with(hidden, desk.state, without=KEPT) == {}
    assert [body for body in collector.bodies if hidden.within(body)] == []
    assert collector.spans, "no trace arrived, so none was searched"

    # The same search finds what may be there: whoever sends a correlation id wants it in the logs.
    found = files_with(story.own, desk.state, without=KEPT)
    assert found == {"logs/tickets.log": {"correlation id"}}
    # And what the issuer keeps is looked for as it is written.
    kept = {"key.pem": {"issuer/key.pem"}, "secret": {"issuer/secret"}}
    assert files_with(story.secret, desk.state / "issuer", without=()) == kept
    async with story.client() as client:
        shown = story.personal.within(json.dumps(await view(client, ticket)))
    assert {"title", "reporter", "note of the hold", "how it was settled"} <= shown
    await require_marked(story)


async def require_silent_pages(story: Story, hidden: Canaries) -> None:
    """What a process tells without being asked who asks."""
    async with httpx2.AsyncClient() as client:
        for service in SERVICES:
            for page in TELLING:
                answer = await client.get(f"{story.installation.url_of(service)}{page}")
                assert answer.status_code == 200, f"{service} {page}: {answer.text}"
                assert hidden.within(answer.text) == set(), f"{service} {page}"


def require_silent_commands(desk: Installation, hidden: Canaries) -> None:
    """What is shown to whoever runs the installation."""
    commands = [("status",), ("doctor",), ("doctor", "--json"), ("logs",), *[("logs", name) for name in SERVICES]]
    for words in commands:
        done = say(desk, *words)
        told = done.stdout + done.stderr
        assert told, words
        assert hidden.within(told) == set(), f"desk {' '.join(words)}"


def require_private_files(desk: Installation) -> None:
    """The files that hold secrets are for nobody else to read."""
    files = [path for name in PRIVATE for path in (desk.state / name).rglob("*") if path.is_file()]
    assert len(files) >= 2 * len(SERVICES)
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


async def require_marked(story: Story) -> None:
    """In Kafka a canary stands only in fields that are marked `Personal`; no secret stands there at all."""
    bootstrap = f"127.0.0.1:{story.installation.ports['kafka']}"
    topics = [topic.name for topic in TOPICS]
    seen = await sightings(story.personal, bootstrap, topics)
    for each in sorted({(one.type, one.place) for one in seen}):
        print(*each)
    assert [one for one in seen if not one.allowed] == []
    told = {one.what for one in seen}
    kept = {"title", "description", "reporter", "contact", "phone", "note of the hold", "reason of the escalation"}
    kept |= {"note for the house", "what was tried"}
    kept |= {f"reason of the {what}" for what in ("hand-over", "de-escalation", "reopening", "cancellation")}
    kept |= {"why it was linked", "why it was linked no more"}
    assert kept | {"what the client was told", "how it was settled", "reason of the late registration"} <= told
    assert await sightings(story.secret, bootstrap, topics) == []


def test_a_canary_outside_a_marked_field_is_seen() -> None:
    """The search itself: of a document with two canaries it allows the one that is in a marked field."""
    canaries = Canaries()
    text = canaries.plant("somebody")
    schema = {
        "properties": {"who": {"x-personal": True, "anyOf": [{"type": "string"}, {"type": "null"}]}, "parts": {
            "items": {"$ref": "#/$defs/Part"}}},
        "$defs": {"Part": {"properties": {"note": {"type": "string"}}}},
    }  # fmt: skip
    document = {"who": text, "parts": [{"note": f"to {text}!"}], text: 1}
    seen = [
        Sighting(what, "sample", place, personal)
        for place, found, personal in places(document, schema, schema)
        for what in canaries.within(found)
    ]
    assert [(one.place, one.allowed) for one in seen] == [
        ("/who", True),
        ("/parts[]/note", False),
        (f"/{text} (the name)", False),
    ]


async def test_a_canary_in_a_file_is_found(tmp_path: Any) -> None:
    canaries = Canaries()
    text = canaries.plant("somebody")
    (tmp_path / "logs").mkdir()
    (tmp_path / "data").mkdir()
    for name in ("logs/a.log", "data/b"):
        await asyncio.to_thread((tmp_path / name).write_text, f'{{"event":"called {text}"}}\n')
    assert files_with(canaries, tmp_path, without=["data"]) == {"logs/a.log": {"somebody"}}
