"""Contracts and their types over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from shared.contracts.sla import ContractType
from shared.errors import NotFound
from shared.http.auth import CauseDep, needs
from shared.http.etag import etag
from shared.http.paging import DEFAULT_LIMIT, After, Keyset, Limit, Page
from shared.http.preconditions import IfMatchOrNew
from shared.http.transaction import Reading, Tx
from sla.commands import contracts as commands
from sla.documents import ContractFacts, ContractRecord, ContractTypeFacts, ContractTypeRecord
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


class ContractTypeNotRecorded(NotFound):
    """Nothing was ever recorded of this type."""

    code = "contract-type-not-recorded"
    title = "The contract type was never recorded"


@router.get("/contract-types", dependencies=[needs("contract:read")])
async def list_contract_types(tx: Reading) -> list[ContractTypeView]:
    """What each type of contract promises unless a contract says something else, in its latest version."""
    return await queries.list_contract_types(tx)


@router.get("/contract-types/{id}", dependencies=[needs("contract:read")])
async def get_contract_type(tx: Reading, id: ContractType, response: Response) -> ContractTypeView:
    """One type in its latest version."""
    return _type_shown(response, id, await queries.type_versions(tx, id))


@router.get("/contract-types/{id}/versions", dependencies=[needs("contract:read")])
async def list_type_versions(tx: Reading, id: ContractType) -> list[ContractTypeView]:
    """Every version of a type, the latest first: contracts name the one that they are of."""
    return await queries.type_versions(tx, id)


@router.put("/contract-types/{id}", dependencies=[needs("contract:write")])
async def record_contract_type(
    tx: Tx, cause: CauseDep, expected: IfMatchOrNew, id: ContractType, facts: ContractTypeFacts, response: Response
) -> ContractTypeView:
    """Records what contracts of a type promise from their next version on that names it. No contract changes by it."""
    record = ContractTypeRecord(id=id, **dict(facts))
    await commands.record_contract_types(tx, cause, [record], expected=expected)
    return _type_shown(response, id, await queries.type_versions(tx, id))


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
    return _shown(response, id, await queries.contract_versions(tx, id))


@router.get("/contracts/{id}/versions", dependencies=[needs("contract:read")])
async def list_contract_versions(tx: Reading, id: Id) -> list[ContractView]:
    """Every version of a contract, the latest first, each with since when it was agreed."""
    return await queries.contract_versions(tx, id)


@router.put("/contracts/{id}", dependencies=[needs("contract:write")])
async def record_contract(
    tx: Tx, cause: CauseDep, expected: IfMatchOrNew, id: Id, facts: ContractFacts, response: Response
) -> ContractView:
    """Records what is agreed, as a further version. The same again changes nothing; running clocks keep theirs."""
    record = ContractRecord(id=id, **dict(facts))
    await commands.record_contracts(tx, cause, [record], expected=expected)
    return _shown(response, id, await queries.contract_versions(tx, id))


def _shown(response: Response, id: str, versions: list[ContractView]) -> ContractView:
    if not versions:
        raise NoSuchContract(f"There is no contract {id}.")
    etag(response, versions[0].version)
    return versions[0]


def _type_shown(response: Response, id: str, versions: list[ContractTypeView]) -> ContractTypeView:
    if not versions:
        raise ContractTypeNotRecorded(f"The type {id} was never recorded: run `migrate`, which loads the defaults.")
    etag(response, versions[0].version)
    return versions[0]
