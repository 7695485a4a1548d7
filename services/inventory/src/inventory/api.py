"""The inventory over HTTP."""

from typing import Annotated, TypeVar
from uuid import UUID

from fastapi import APIRouter, Path, Query, Response

from inventory import commands, queries
from inventory.documents import (
    ClientFacts,
    ClientRecord,
    InstallationFacts,
    InstallationRecord,
    ModuleFacts,
    ModuleRecord,
    ProductFacts,
    ProductRecord,
)
from inventory.queries import (
    ClientEnvironment,
    ClientView,
    InstallationView,
    ModuleView,
    ProductView,
    TicketEnvironment,
)
from shared.errors import NotFound
from shared.http.auth import CauseDep, needs
from shared.http.etag import etag
from shared.http.limits import NO_NUL
from shared.http.paging import DEFAULT_LIMIT, After, Keyset, Limit, Page
from shared.http.preconditions import IfMatchOrNew
from shared.http.transaction import Reading, Tx
from shared.spelling import sort_key

V = TypeVar("V", ClientView, ProductView, ModuleView, InstallationView)

router = APIRouter(prefix="/v1", tags=["inventory"])

_CODE = r"^[a-z0-9-]{2,40}$"
Id = Annotated[str, Path(pattern=_CODE, examples=["metalurgica-arenales"])]
OfClient = Annotated[str | None, Query(pattern=_CODE, description="a client's id")]
OfProduct = Annotated[str | None, Query(pattern=_CODE, description="a product's id")]
OfModule = Annotated[str | None, Query(pattern=_CODE, description="a module's id")]
Search = Annotated[
    str | None,
    Query(
        max_length=100,
        description="part of a name in any spelling: capitals, accents, dots, dashes and spaces do not matter",
        json_schema_extra=NO_NUL,
    ),
]
Customised = Annotated[bool | None, Query(description="only what was (true) or was not (false) made for one client")]

_clients = Keyset("clients", str, str)
_products = Keyset("products", str, str)
_modules = Keyset("modules", str, str)
_installations = Keyset("installations", str)


class NoSuchRecord(NotFound):
    """The inventory holds no record of this id."""

    code = "no-such-record"
    title = "The inventory holds no such record"


class NoEnvironment(NotFound):
    """No environment was frozen on this ticket."""

    code = "no-environment"
    title = "The ticket has no environment"


@router.get("/clients", dependencies=[needs("client:read")])
async def list_clients(
    tx: Reading, q: Search = None, product: OfProduct = None, after: After = None, limit: Limit = DEFAULT_LIMIT
) -> Page[ClientView]:
    """Clients by name."""
    found = await queries.list_clients(tx, q=q, product_id=product, after=_clients.start(after), limit=limit)
    return _clients.page(found, limit, lambda one: (sort_key(one.name), one.id))


@router.get("/clients/{id}", dependencies=[needs("client:read")])
async def get_client(tx: Reading, id: Id, response: Response) -> ClientView:
    """One client."""
    return _shown(response, "client", id, await queries.get_client(tx, id))


@router.put("/clients/{id}", dependencies=[needs("client:write")])
async def record_client(
    tx: Tx, cause: CauseDep, expected: IfMatchOrNew, id: Id, facts: ClientFacts, response: Response
) -> ClientView:
    """Records what is now known of a client. The same again changes nothing."""
    record = ClientRecord(id=id, **facts.model_dump())
    await commands.record_client(tx, cause, record, expected=expected)
    return _shown(response, "client", id, await queries.get_client(tx, id))


@router.get("/clients/{id}/environment", dependencies=[needs("inventory:read")])
async def get_client_environment(tx: Reading, id: Id) -> ClientEnvironment:
    """What a client runs now: every installation in use, with its version and its modules."""
    found = await queries.get_client_environment(tx, id)
    if found is None:
        raise _missing("client", id)
    return found


@router.get("/products", dependencies=[needs("inventory:read")])
async def list_products(
    tx: Reading, q: Search = None, after: After = None, limit: Limit = DEFAULT_LIMIT
) -> Page[ProductView]:
    """Products by name."""
    found = await queries.list_products(tx, q=q, after=_products.start(after), limit=limit)
    return _products.page(found, limit, lambda one: (sort_key(one.name), one.id))


@router.get("/products/{id}", dependencies=[needs("inventory:read")])
async def get_product(tx: Reading, id: Id, response: Response) -> ProductView:
    """One product."""
    return _shown(response, "product", id, await queries.get_product(tx, id))


@router.put("/products/{id}", dependencies=[needs("inventory:write")])
async def record_product(
    tx: Tx, cause: CauseDep, expected: IfMatchOrNew, id: Id, facts: ProductFacts, response: Response
) -> ProductView:
    """Records what is now known of a product. The same again changes nothing."""
    record = ProductRecord(id=id, **facts.model_dump())
    await commands.record_product(tx, cause, record, expected=expected)
    return _shown(response, "product", id, await queries.get_product(tx, id))


@router.get("/modules", dependencies=[needs("inventory:read")])
async def list_modules(
    tx: Reading,
    q: Search = None,
    product: OfProduct = None,
    client: OfClient = None,
    customised: Customised = None,
    after: After = None,
    limit: Limit = DEFAULT_LIMIT,
) -> Page[ModuleView]:
    """Modules by name; with `client` those that were made for it."""
    found = await queries.list_modules(
        tx,
        q=q,
        product_id=product,
        client_id=client,
        customised=customised,
        after=_modules.start(after),
        limit=limit,
    )
    return _modules.page(found, limit, lambda one: (sort_key(one.name), one.id))


@router.get("/modules/{id}", dependencies=[needs("inventory:read")])
async def get_module(tx: Reading, id: Id, response: Response) -> ModuleView:
    """One module."""
    return _shown(response, "module", id, await queries.get_module(tx, id))


@router.put("/modules/{id}", dependencies=[needs("inventory:write")])
async def record_module(
    tx: Tx, cause: CauseDep, expected: IfMatchOrNew, id: Id, facts: ModuleFacts, response: Response
) -> ModuleView:
    """Records what is now known of a module. Its product, nature and client are fixed by the first time."""
    record = ModuleRecord(id=id, **facts.model_dump())
    await commands.record_module(tx, cause, record, expected=expected)
    return _shown(response, "module", id, await queries.get_module(tx, id))


@router.get("/installations", dependencies=[needs("inventory:read")])
async def list_installations(
    tx: Reading,
    q: Search = None,
    client: OfClient = None,
    product: OfProduct = None,
    module: OfModule = None,
    customised: Customised = None,
    after: After = None,
    limit: Limit = DEFAULT_LIMIT,
) -> Page[InstallationView]:
    """Installations by id; `q` looks in the client's name, `customised` asks whether one of its modules is."""
    found = await queries.list_installations(
        tx,
        q=q,
        client_id=client,
        product_id=product,
        module_id=module,
        customised=customised,
        after=_installations.start(after),
        limit=limit,
    )
    return _installations.page(found, limit, lambda one: (one.id,))


@router.get("/installations/{id}", dependencies=[needs("inventory:read")])
async def get_installation(tx: Reading, id: Id, response: Response) -> InstallationView:
    """One installation with its modules."""
    return _shown(response, "installation", id, await queries.get_installation(tx, id))


@router.put("/installations/{id}", dependencies=[needs("inventory:write")])
async def record_installation(
    tx: Tx, cause: CauseDep, expected: IfMatchOrNew, id: Id, facts: InstallationFacts, response: Response
) -> InstallationView:
    """Records what a client now runs of a product: version and all modules. The same again changes nothing."""
    record = InstallationRecord(id=id, **facts.model_dump())
    await commands.record_installation(tx, cause, record, expected=expected)
    return _shown(response, "installation", id, await queries.get_installation(tx, id))


@router.get("/tickets/{ticket_id}/environment", dependencies=[needs("ticket:read")])
async def get_ticket_environment(tx: Reading, ticket_id: UUID) -> TicketEnvironment:
    """The environment as it was frozen when the ticket opened, or was completed; later changes do not touch it."""
    found = await queries.get_ticket_environment(tx, ticket_id)
    if found is None:
        raise NoEnvironment(
            f"No environment is frozen on ticket {ticket_id}: there is no such ticket, or it opened a moment ago."
        )
    return found


def _shown(response: Response, kind: str, id: str, found: V | None) -> V:
    if found is None:
        raise _missing(kind, id)
    etag(response, found.version)
    return found


def _missing(kind: str, id: str) -> NoSuchRecord:
    return NoSuchRecord(f"There is no {kind} {id}.")
