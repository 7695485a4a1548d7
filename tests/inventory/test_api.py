"""The inventory over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from inventory.api import router
from inventory.subscribers import attach_environment
from shared.http.app import create_app
from shared.http.auth import Authenticator
from tests.inventory.scene import furnish, opened, published
from tests.shared.http.issuer import LocalIssuer
from tests.support.databases import Database

Databases = Callable[[str], Awaitable[Database]]


@pytest.fixture
async def inventory(database: Databases) -> Database:
    made = await database("inventory")
    await furnish(made)
    return made


@pytest.fixture
async def http(inventory: Database) -> AsyncIterator[httpx2.AsyncClient]:
    async with LocalIssuer().serving() as issuer:
        app = create_app(
            service="inventory", description="test", routers=[router], engine=inventory.engine, hint=lambda: None,
            authenticator=Authenticator(issuer.url),
        )  # fmt: skip
        async with httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app=app),
            base_url="http://inventory",
            headers={"authorization": f"Bearer {issuer.token(sub='irma', roles=['implementer', 'supervisor'])}"},
        ) as client:
            yield client


async def ids(http: httpx2.AsyncClient, path: str) -> list[str]:
    answer = await http.get(path)
    assert answer.status_code == 200, answer.text
    return [item["id"] for item in answer.json()["items"]]


async def test_no_route_is_open_without_a_token(http: httpx2.AsyncClient) -> None:
    assert (await http.get("/v1/clients", headers={"authorization": ""})).status_code == 401


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/v1/clients", ["quimsa", "arenales", "la-yapa", "runa"]),
        ("/v1/clients?q=METALÚRGICA", ["arenales"]),
        ("/v1/clients?q=nandu", ["runa"]),
        ("/v1/clients?q=100%25", []),
        ("/v1/clients?product=nominar", ["la-yapa"]),
        ("/v1/products", ["kontar", "nominar"]),
        ("/v1/products?q=sueldos", ["nominar"]),
        ("/v1/modules?customised=true", ["kontar-corte"]),
        ("/v1/modules?customised=false&product=kontar", ["kontar-stock", "kontar-ventas"]),
        ("/v1/modules?client=arenales", ["kontar-corte"]),
        ("/v1/modules?q=ordenes", ["kontar-corte"]),
        ("/v1/installations?client=quimsa", ["quimsa-garin", "quimsa-pilar"]),
        ("/v1/installations?product=nominar", ["la-yapa-nominar"]),
        ("/v1/installations?module=kontar-stock", ["arenales-kontar"]),
        ("/v1/installations?customised=true", ["arenales-kontar"]),
        ("/v1/installations?customised=false&client=arenales", []),
        ("/v1/installations?q=YAPA", ["la-yapa-kontar", "la-yapa-nominar"]),
        ("/v1/installations?q=la-yapa", ["la-yapa-kontar", "la-yapa-nominar"]),
        ("/v1/clients?q=SuperMercados%20LaYapa", ["la-yapa"]),
        ("/v1/products?q=Kontar%20E.R.P.", ["kontar"]),
        ("/v1/modules?q=ordenes-de%20corte", ["kontar-corte"]),
    ],
)
async def test_a_list_shows_what_its_filters_say_in_its_order(
    http: httpx2.AsyncClient, path: str, expected: list[str]
) -> None:
    assert await ids(http, path) == expected


@pytest.mark.parametrize("path", ["/v1/clients", "/v1/products", "/v1/modules", "/v1/installations"])
async def test_pages_of_one_give_the_whole_list_once_and_in_order(http: httpx2.AsyncClient, path: str) -> None:
    whole, seen, after = await ids(http, path), [], ""
    while True:
        page = (await http.get(f"{path}?limit=1{after}")).json()
        seen += [item["id"] for item in page["items"]]
        if page["next"] is None:
            break
        after = f"&after={page['next']}"
    assert seen == whole
    assert len(seen) >= 2


@pytest.mark.parametrize("sign", ["ñ", "\U00010400", "\ufdfa", "각", "\U0001f9ff", '"', "\\"])
async def test_pages_go_on_after_a_name_of_any_length(http: httpx2.AsyncClient, sign: str) -> None:
    for number in range(3):
        facts = {"name": sign * 199 + str(number), "tier": "oro"}
        assert (await http.put(f"/v1/clients/largo-{number}", json=facts)).status_code == 200
    whole, seen = await ids(http, "/v1/clients"), []
    after: dict[str, Any] = {}
    while True:
        answer = await http.get("/v1/clients", params={"limit": 1, **after})
        assert answer.status_code == 200, answer.text
        seen += [item["id"] for item in answer.json()["items"]]
        if answer.json()["next"] is None:
            break
        after = {"after": answer.json()["next"]}
    assert seen == whole
    assert {"largo-0", "largo-1", "largo-2"} < set(seen)


async def test_a_cursor_of_another_list_is_refused(http: httpx2.AsyncClient) -> None:
    cursor = (await http.get("/v1/clients?limit=1")).json()["next"]
    answer = await http.get(f"/v1/modules?after={cursor}")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-cursor")


async def test_putting_a_client_publishes_it_under_the_callers_name_and_twice_changes_nothing(
    http: httpx2.AsyncClient, inventory: Database
) -> None:
    facts = {"name": "Óptica Mirasol", "tier": "basico", "contact": "Natalia", "phone": "+54 358 555"}
    first = await http.put("/v1/clients/optica-mirasol", json=facts)
    again = await http.put("/v1/clients/optica-mirasol", json=facts)
    assert (first.status_code, again.status_code) == (200, 200), first.text
    assert first.headers["etag"] == again.headers["etag"] == '"1"'
    assert first.json() == again.json() == (await http.get("/v1/clients/optica-mirasol")).json()
    assert first.json()["changed_by"] == "irma"
    told = [one for one in await published(inventory) if one["subject"] == "client:optica-mirasol"]
    assert [one["actor"] for one in told] == ["irma"]

    changed = await http.put("/v1/clients/optica-mirasol", json={**facts, "tier": "plata"}, headers={"if-match": '"1"'})
    assert (changed.json()["tier"], changed.headers["etag"]) == ("plata", '"2"')


NEW: dict[str, dict[str, Any]] = {
    "clients": {"name": "Óptica Mirasol", "tier": "basico"},
    "products": {"name": "Vincula CRM"},
    "modules": {"name": "Agenda", "product_id": "kontar", "nature": "standard"},
    "installations": {"client_id": "runa", "product_id": "kontar", "product_version": "7.4.2"},
}
OTHERWISE: dict[str, dict[str, Any]] = {
    "clients": {"tier": "plata"},
    "products": {"name": "Vincula"},
    "modules": {"name": "Agenda compartida"},
    "installations": {"modules": {"kontar-stock": "7.4.2"}},
}
CONDITIONS: list[tuple[dict[str, str], int]] = [({}, 428), ({"if-none-match": "*"}, 412), ({"if-match": '"2"'}, 412)]


@pytest.mark.parametrize("kind", NEW)
async def test_a_record_is_changed_by_whoever_has_seen_its_version(
    http: httpx2.AsyncClient, inventory: Database, kind: str
) -> None:
    path, facts, changed = f"/v1/{kind}/nuevo", NEW[kind], NEW[kind] | OTHERWISE[kind]
    before = len(await published(inventory))
    lost = await http.put(path, json=facts, headers={"if-match": '"1"'})
    assert (lost.status_code, lost.json()["code"], lost.json()["version"]) == (412, "version-changed", 0)
    assert (await http.get(path)).status_code == 404
    assert (await http.put(path, json=facts, headers={"if-none-match": "*"})).headers["etag"] == '"1"'
    for head, status in CONDITIONS:
        refused = await http.put(path, json=changed, headers=head)
        assert (refused.status_code, refused.json()["version"], refused.headers["etag"]) == (status, 1, '"1"')
    assert (await http.get(path)).headers["etag"] == '"1"'
    assert len(await published(inventory)) == before + 1
    for _ in range(2):
        # The second time it is equal and changes nothing, so the old version does no harm.
        done = await http.put(path, json=changed, headers={"if-match": '"1"'})
        assert (done.status_code, done.headers["etag"]) == (200, '"2"')
    assert len(await published(inventory)) == before + 2
    late = await http.put(path, json=facts, headers={"if-match": '"1"'})
    told = (await published(inventory))[-1]
    assert (late.status_code, [(one["version"], one["type"], one["actor"]) for one in late.json()["since"]]) == (
        412, [(2, told["type"], told["actor"])],
    )  # fmt: skip


async def test_of_many_who_record_the_same_at_once_one_does(http: httpx2.AsyncClient) -> None:
    async def put(id_: str, city: int, **head: str) -> int:
        facts = NEW["clients"] | {"city": f"Ciudad {city}"}
        return (await http.put(f"/v1/clients/{id_}", json=facts, headers=head)).status_code

    made = await asyncio.gather(*[put("nuevo", number) for number in range(6)])
    assert sorted(made) == [200, 428, 428, 428, 428, 428]
    changed = await asyncio.gather(*[put("nuevo", number, **{"if-match": '"1"'}) for number in range(10, 16)])
    assert sorted(changed) == [200, 412, 412, 412, 412, 412]


async def test_products_modules_and_installations_are_recorded_and_shown(http: httpx2.AsyncClient) -> None:
    product = await http.put("/v1/products/vincula", json={"name": "Vincula CRM"})
    module = await http.put(
        "/v1/modules/vincula-agenda", json={"name": "Agenda", "product_id": "vincula", "nature": "standard"}
    )
    modules = {"vincula-agenda": "2.6.3"}
    facts = {"client_id": "runa", "product_id": "vincula", "product_version": "2.6.3", "modules": modules}
    installation = await http.put("/v1/installations/runa-vincula", json=facts)
    assert [one.status_code for one in (product, module, installation)] == [200, 200, 200], installation.text
    assert (await http.get("/v1/products/vincula")).json() == product.json()
    assert (await http.get("/v1/modules/vincula-agenda")).json() == module.json()
    shown = await http.get("/v1/installations/runa-vincula")
    assert shown.json() == installation.json()
    assert shown.headers["etag"] == '"1"'
    assert shown.json()["client_name"] == "Tejidos Ñandú Runa"
    assert shown.json()["modules"] == [
        {"module_id": "vincula-agenda", "name": "Agenda", "version": "2.6.3", "nature": "standard"}
    ]


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/v1/clients/Con Espacio", {"name": "X", "tier": "oro"}, 422, "invalid-request"),
        ("/v1/clients/x1", {"name": " ", "tier": "oro"}, 422, "invalid-request"),
        ("/v1/clients/x1", {"name": "Dos\nlíneas", "tier": "oro"}, 422, "invalid-request"),
        ("/v1/clients/x1", {"name": "Dos\u2028líneas", "tier": "oro"}, 422, "invalid-request"),
        ("/v1/clients/x1", {"name": "\u200b\u3164", "tier": "oro"}, 422, "invalid-request"),
        ("/v1/clients/x1", {"name": "X", "tier": "oro", "tax_id": "\u2800"}, 422, "invalid-request"),
        ("/v1/clients/x1", {"name": "X\tY", "tier": "oro"}, 422, "invalid-request"),
        ("/v1/products/p1", {"name": "\u00ad"}, 422, "invalid-request"),
        ("/v1/clients/x1", {"name": "X", "tier": "diamante"}, 422, "invalid-request"),
        ("/v1/clients/x1", {"name": "X", "tier": "oro", "id": "x2"}, 422, "invalid-request"),
        ("/v1/modules/m1", {"name": "M", "product_id": "nada", "nature": "standard"}, 422, "unknown-reference"),
        ("/v1/modules/m1", {"name": "M", "product_id": "kontar", "nature": "customised"}, 422, "wrong-nature"),
        ("/v1/modules/kontar-stock", {"name": "M", "product_id": "nominar", "nature": "standard"}, 409,
         "identity-is-fixed"),
        ("/v1/installations/i1", {"client_id": "quimsa", "product_id": "kontar", "product_version": "7",
                                  "modules": {"kontar-corte": "1"}}, 422, "module-does-not-fit"),
        ("/v1/installations/i1", {"client_id": "quimsa", "product_id": "kontar", "product_version": "7 o 8"}, 422,
         "invalid-request"),
    ],
)  # fmt: skip
async def test_what_makes_no_sense_is_refused_with_a_code(
    http: httpx2.AsyncClient, path: str, body: dict[str, Any], status: int, code: str
) -> None:
    answer = await http.put(path, json=body)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("path", ["clients/nadie", "clients/nadie/environment", "products/nada", "modules/nada",
                                  "installations/nada"])  # fmt: skip
async def test_what_nobody_recorded_is_not_found(http: httpx2.AsyncClient, path: str) -> None:
    answer = await http.get(f"/v1/{path}")
    assert (answer.status_code, answer.json()["code"]) == (404, "no-such-record")


async def test_the_environment_of_a_client_shows_what_is_in_use_only(http: httpx2.AsyncClient) -> None:
    shown = (await http.get("/v1/clients/la-yapa/environment")).json()
    assert [one["id"] for one in shown["installations"]] == ["la-yapa-kontar", "la-yapa-nominar"]
    empty = (await http.get("/v1/clients/runa/environment")).json()
    assert empty == {"client_id": "runa", "client_name": "Tejidos Ñandú Runa", "installations": []}


async def test_the_environment_of_a_ticket_is_shown_once_it_was_frozen(
    http: httpx2.AsyncClient, inventory: Database
) -> None:
    event = opened("arenales")
    path = f"/v1/tickets/{event.data.ticket_id}/environment"
    assert (await http.get(path)).json()["code"] == "no-environment"
    async with inventory.begin() as tx:
        await attach_environment(tx, [event])
    shown = (await http.get(path)).json()
    assert (shown["known"], shown["installation_id"], shown["product_version"]) == (True, "arenales-kontar", "7.4.2")
    assert [one["module_id"] for one in shown["modules"]] == ["kontar-corte", "kontar-stock"]
    assert (await http.get(f"/v1/tickets/{uuid4()}/environment")).status_code == 404


async def test_the_environment_of_a_ticket_says_that_nobody_could_be_identified(
    http: httpx2.AsyncClient, inventory: Database
) -> None:
    event = opened(None)
    async with inventory.begin() as tx:
        await attach_environment(tx, [event])
    answer = await http.get(f"/v1/tickets/{event.data.ticket_id}/environment")
    assert answer.status_code == 200, answer.text
    shown = answer.json()
    assert (shown["known"], shown["client_id"], shown["reason"]) == (False, None, "client-not-identified")
