"""Categories and resolution codes over HTTP: what may be given, and an admin's changes."""

from typing import Annotated, Any

from fastapi import Path, Query, Response

from shared.contracts.envelope import Code
from shared.http.auth import CauseDep, needs
from shared.http.idempotency import Idempotency
from shared.http.paging import DEFAULT_LIMIT, After, Keyset, Limit, Page
from shared.http.preconditions import IfMatch, IfMatchOrNew
from shared.http.transaction import Reading, Tx
from tickets.api.answers import page, record
from tickets.api.callers import router_of
from tickets.commands import catalogue as commands
from tickets.documents import CategoryFacts, CategoryRecord, CodeFacts, CodeRecord
from tickets.queries import catalogue
from tickets.queries.catalogue import CategoryView, CodeView

router = router_of("catalogue")

_CATEGORIES = Keyset("categories", str, str)
_CODES = Keyset("resolution-codes", str, str)
CategoryId = Annotated[Code, Path(examples=["error-que-detiene"])]
CodeId = Annotated[Code, Path(examples=["error-corregido"])]
Retired = Annotated[bool | None, Query(description="only those out of use, or only those in use")]


@router.get("/categories", response_model=Page[CategoryView], dependencies=[needs("ticket:read")])
async def list_categories(
    connection: Reading, retired: Retired = None, after: After = None, limit: Limit = DEFAULT_LIMIT
) -> Response:
    """What a ticket may be about, by name, with the questions that then must be answered."""
    start: Any = _CATEGORIES.start(after)
    rows = await catalogue.list_entries(connection, "category", retired=retired, after=start, limit=limit + 1)
    return page(_CATEGORIES, rows, limit)


@router.get("/categories/{id}", response_model=CategoryView, dependencies=[needs("ticket:read")])
async def get_category(connection: Reading, id: CategoryId) -> Response:
    """One category."""
    return record(*await catalogue.view_entry(connection, "category", id))


@router.put("/categories/{id}", response_model=CategoryView, dependencies=[needs("rules:write")])
async def record_category(
    tx: Tx, cause: CauseDep, expected: IfMatchOrNew, id: CategoryId, facts: CategoryFacts
) -> Response:
    """Adds a category, words it otherwise, or retires it; tickets that have it keep it."""
    entry = CategoryRecord(id=id, **dict(facts))
    await commands.record_entries(tx, cause, "category", [entry], expected=expected)
    return record(*await catalogue.view_entry(tx, "category", id))


@router.post("/categories/{id}/restore", response_model=CategoryView, dependencies=[needs("rules:write")])
async def restore_category(
    expected: IfMatch, tx: Tx, cause: CauseDep, idempotency: Idempotency, id: CategoryId
) -> Response:
    """Makes a category what it was shipped as."""
    await commands.restore_shipped(tx, cause, "category", id, expected=expected)
    version, shown = await catalogue.view_entry(tx, "category", id)
    return await idempotency.answer(CategoryView.model_validate_json(shown), version=version)


@router.get("/resolution-codes", response_model=Page[CodeView], dependencies=[needs("ticket:read")])
async def list_resolution_codes(
    connection: Reading, retired: Retired = None, after: After = None, limit: Limit = DEFAULT_LIMIT
) -> Response:
    """How a matter may have been settled, by name."""
    start: Any = _CODES.start(after)
    rows = await catalogue.list_entries(connection, "resolution-code", retired=retired, after=start, limit=limit + 1)
    return page(_CODES, rows, limit)


@router.get("/resolution-codes/{id}", response_model=CodeView, dependencies=[needs("ticket:read")])
async def get_resolution_code(connection: Reading, id: CodeId) -> Response:
    """One resolution code."""
    return record(*await catalogue.view_entry(connection, "resolution-code", id))


@router.put("/resolution-codes/{id}", response_model=CodeView, dependencies=[needs("rules:write")])
async def record_resolution_code(
    tx: Tx, cause: CauseDep, expected: IfMatchOrNew, id: CodeId, facts: CodeFacts
) -> Response:
    """Adds a resolution code, words it otherwise, or retires it; tickets that have it keep it."""
    entry = CodeRecord(id=id, **dict(facts))
    await commands.record_entries(tx, cause, "resolution-code", [entry], expected=expected)
    return record(*await catalogue.view_entry(tx, "resolution-code", id))


@router.post("/resolution-codes/{id}/restore", response_model=CodeView, dependencies=[needs("rules:write")])
async def restore_resolution_code(
    expected: IfMatch, tx: Tx, cause: CauseDep, idempotency: Idempotency, id: CodeId
) -> Response:
    """Makes a resolution code what it was shipped as."""
    await commands.restore_shipped(tx, cause, "resolution-code", id, expected=expected)
    version, shown = await catalogue.view_entry(tx, "resolution-code", id)
    return await idempotency.answer(CodeView.model_validate_json(shown), version=version)
