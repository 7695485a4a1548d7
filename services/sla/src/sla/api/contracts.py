"""Contracts and their types over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from shared.errors import NotFound
from shared.http.auth import CauseDep, needs
from shared.http.etag import etag
from shared.http.paging import DEFAULT_LIMIT, After, Keyset, Limit, Page
from shared.http.preconditions import IfMatchOrNew
from shared.http.transaction import Reading, Tx
from sla.commands import contracts as commands
from sla.documents import ContractFacts, ContractRecord
from sla.queries import contracts as queries
from sla.queries.contracts import ContractTypeView, ContractView

router = APIRouter(prefix="/v1", tags=["sla"])

_CODE = r"^[a-z0-9-]{2,40}$"
Id = Annotated[str, Path(pattern=_CODE, examples=["lacteos-pampa-honda-2026"])]
OfClient = Annotated[str | None, Query(pattern=_CODE, description="a client's id")]

_contracts = Keyset("contracts", str)


class NoSuchContract(NotFound):
    """There is no contract of this id."""

    code = "no-such-contract"
    title = "There is no such contract"


@router.get("/contract-types", dependencies=[needs("contract:read")])
async def list_contract_types(tx: Reading) -> list[ContractTypeView]:
    """What each type of contract promises unless a contract says something else."""
    return await queries.list_contract_types(tx)


@router.get("/contracts", dependencies=[needs("contract:read")])
async def list_contracts(
    tx: Reading, client: OfClient = None, after: After = None, limit: Limit = DEFAULT_LIMIT
) -> Page[ContractView]:
    """Contracts by id, each in its latest version."""
    found = await queries.list_contracts(tx, client_id=client, after=_contracts.start(after), limit=limit)
    return _contracts.page(found, limit, lambda one: (one.id,))


@router.get("/contracts/{id}", dependencies=[needs("contract:read")])
async def get_contract(tx: Reading, id: Id, response: Response) -> ContractView:
    """One contract in its latest version."""
    return _shown(response, id, await queries.get_contract(tx, id))


@router.put("/contracts/{id}", dependencies=[needs("contract:write")])
async def record_contract(
    tx: Tx, cause: CauseDep, expected: IfMatchOrNew, id: Id, facts: ContractFacts, response: Response
) -> ContractView:
    """Records what is agreed from now on. The same again changes nothing; running clocks keep their version."""
    record = ContractRecord(id=id, **facts.model_dump())
    await commands.record_contracts(tx, cause, [record], expected=expected)
    return _shown(response, id, await queries.get_contract(tx, id))


def _shown(response: Response, id: str, found: ContractView | None) -> ContractView:
    if found is None:
        raise NoSuchContract(f"There is no contract {id}.")
    etag(response, found.version)
    return found
