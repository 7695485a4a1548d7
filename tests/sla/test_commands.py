"""Contracts are recorded in versions, published once per change, and pinned by the clocks that they govern."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest

from shared.contracts.envelope import Cause
from shared.contracts.sla import ClockKind
from shared.load import read_document
from sla.commands import contracts as commands
from sla.commands import documents
from sla.documents import CalendarRecord, ContractRecord, ContractTypeRecord, Document, TargetFacts, WarningFacts
from sla.domain.contract import NoDefaultTargets
from sla.domain.target import UnknownCalendar
from sla.repository import contracts as contract_rows
from tests.sla.telling import (
    RESOLUTION,
    RESPONSE,
    ZERO,
    Story,
    apply,
    at,
    clocks_of,
    frozen,
    names,
    published,
    tell,
    timers,
)
from tests.support.databases import CHECKOUT, Database
from tests.support.statements import counted

CAUSE = Cause(actor="bruno", occurred_at=ZERO, recorded_at=ZERO, correlation_id="request-1")
PER_SEVERITY: dict[ClockKind, int] = {"response": 600, "resolution": 6000}
TARGETS = tuple(
    TargetFacts(clock=clock, seconds=seconds * severity, calendar_id="24x7", severities=(severity,))
    for clock, seconds in PER_SEVERITY.items()
    for severity in (1, 2, 3, 4)
)


def contract(**changes: Any) -> ContractRecord:
    given = {"id": "acme-2026", "client_id": "acme", "contract_type": "oro", "valid_from": at(-1e6), **changes}
    return ContractRecord(**given)


async def record(sla: Database, *records: ContractRecord) -> list[int]:
    async with sla.begin() as tx:
        return [version.version for version in await commands.record_contracts(tx, CAUSE, records)]


async def test_an_installation_begins_with_the_targets_of_the_defaults(sla: Database) -> None:
    async with sla.begin() as tx:
        types, _ = await contract_rows.type_versions(tx)
    resolution = {
        name: [rule.seconds // 3600 for rule in versions[-1].promises.targets if rule.clock == "resolution"]
        for name, versions in types.items()
    }
    assert resolution == {
        "platino": [4, 16, 40, 80, 80],
        "oro": [8, 24, 60, 120, 120],
        "plata": [16, 32, 80, 160, 160],
        "basico": [32, 60, 120, 200, 200],
    }


async def test_defaults_loaded_again_leave_what_an_admin_made_of_them(sla: Database) -> None:
    defaults = read_document(CHECKOUT / "services/sla/src/sla/defaults.yaml", Document)
    assert isinstance(defaults, Document)
    async with sla.begin() as tx:
        assert await documents.load_defaults(tx, CAUSE, defaults) == 0
    changed = next(one for one in defaults.contract_types if one.id == "oro").model_copy(update={"reopen_days": 9})
    async with sla.begin() as tx:
        assert await commands.record_contract_types(tx, CAUSE, [changed]) == 1
        assert await documents.load_defaults(tx, CAUSE, defaults) == 0
        types, _ = await contract_rows.type_versions(tx)
    assert [one.promises.reopen_days for one in types["oro"]] == [5, 9]


async def test_a_calendar_of_a_file_counts_at_once_when_it_is_new_and_is_drafted_when_it_is_known(
    sla: Database,
) -> None:
    noche: dict[str, Any] = {"id": "noche", "name": "Noche", "timezone": "UTC", "weekly": {"mon": [["22:00", "06:00"]]}}
    first = Document(calendars=[CalendarRecord(**noche)])
    second = Document(calendars=[CalendarRecord(**noche | {"name": "Nocturno"})])
    for document, changed in ((first, 1), (first, 0), (second, 1), (second, 0)):
        async with sla.begin() as tx:
            assert await documents.load_document(tx, CAUSE, document) == changed
    assert await sla.count("SELECT count(*) FROM sla.calendar_versions WHERE calendar_id = 'noche'") == 1
    assert await sla.count("SELECT version FROM sla.calendar_drafts WHERE calendar_id = 'noche'") == 2


async def test_a_contract_takes_what_it_does_not_say_from_its_type_and_is_published_whole(sla: Database) -> None:
    assert await record(sla, contract(pausing_holds=["third-party"])) == [1]
    (told,) = await published(sla, "contract:acme-2026")
    assert (told["type"], told["client_id"]) == ("contract.recorded", "acme")
    (version,) = told["versions"]
    assert (version["contract_type"], version["terms"]["pausing_holds"]) == ("oro", ["third-party"])
    assert [one["seconds"] // 3600 for one in version["terms"]["targets"] if one["clock"] == "resolution"] == [
        8, 24, 60, 120, 120,
    ]  # fmt: skip


async def test_an_equal_contract_changes_and_publishes_nothing(sla: Database) -> None:
    await record(sla, contract(pausing_holds=["third-party", "agreed-date"], product_ids=("kontar", "factela")))
    again = contract(pausing_holds=["agreed-date", "third-party"], product_ids=("factela", "kontar"))
    assert await record(sla, again) == []
    assert len(await published(sla, "contract:acme-2026")) == 1
    assert await sla.count("SELECT count(*) FROM sla.contracts") == 1


async def test_a_change_is_a_further_version_beside_the_earlier_one(sla: Database) -> None:
    await record(sla, contract())
    assert await record(sla, contract(contract_type="plata")) == [2]
    assert await sla.count("SELECT count(*) FROM sla.contracts") == 2
    told = [[each["contract_type"] for each in one["versions"]] for one in await published(sla, "contract:acme-2026")]
    assert told == [["oro"], ["oro", "plata"]]


async def test_what_makes_no_sense_is_refused_and_nothing_is_stored(sla: Database) -> None:
    wrong = TargetFacts(clock="response", seconds=60, calendar_id="lunar")
    with pytest.raises(UnknownCalendar, match="lunar"):
        await record(sla, contract(id="good"), contract(targets=(wrong,)))
    assert await sla.count("SELECT count(*) FROM sla.contracts") == 0


async def test_of_two_changes_at_the_same_time_one_follows_the_other(sla: Database) -> None:
    await record(sla, contract())
    versions = await asyncio.gather(
        record(sla, contract(contract_type="plata")), record(sla, contract(contract_type="platino"))
    )
    assert sorted(versions) == [[2], [3]]


async def test_changing_a_type_changes_no_contract_in_force(sla: Database) -> None:
    await record(sla, contract())
    faster = ContractTypeRecord(id="oro", name="Oro", targets=TARGETS)
    async with sla.begin() as tx:
        assert await commands.record_contract_types(tx, CAUSE, [faster]) == 1
        assert await commands.record_contract_types(tx, CAUSE, [faster]) == 0
    assert await record(sla, contract()) == []
    story = Story(client="acme")
    await tell(sla, story.opened())
    assert (await clocks_of(sla, story.ticket_id))["resolution"]["target_seconds"] == 8 * 3600


async def test_what_the_database_holds_of_versions_cannot_be_changed_by_the_service(sla: Database) -> None:
    await record(sla, contract())
    async with sla.connect() as connection:
        for table in ("contracts", "contract_types", "calendar_versions"):
            for statement in (f"UPDATE sla.{table} SET version = 9", f"DELETE FROM sla.{table}"):
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await connection.execute(statement)


async def test_a_clock_keeps_the_version_under_which_it_started(sla: Database) -> None:
    await record(sla, contract(targets=TARGETS, warnings=WarningFacts(response=("10%",), resolution=("20%",))))
    early = Story(client="acme", severity=2)
    await tell(sla, early.opened())
    assert await timers(sla) == [("response", at(120)), ("resolution", at(2400))]
    await record(sla, contract(contract_type="platino", effective_from=at(100)))
    late = Story(client="acme", severity=2)
    await tell(sla, early.held(60), early.released(160), late.opened(200))
    before, after = await clocks_of(sla, early.ticket_id), await clocks_of(sla, late.ticket_id)
    assert (before["resolution"]["contract_version"], before["resolution"]["due_at"]) == (1, at(12_100))
    assert (after["resolution"]["contract_version"], after["resolution"]["target_seconds"]) == (2, 16 * 3600)


async def test_the_contract_in_force_when_the_client_reported_decides(sla: Database) -> None:
    await record(
        sla,
        contract(id="acme-old", contract_type="plata", valid_until=at(0)),
        contract(id="acme-new", contract_type="platino", valid_from=at(0)),
    )
    old, new = Story(client="acme"), Story(client="acme")
    await tell(sla, old.opened(600, reported=-1), new.opened(600, reported=0))
    assert (await clocks_of(sla, old.ticket_id))["response"]["contract_id"] == "acme-old"
    assert (await clocks_of(sla, new.ticket_id))["response"]["contract_id"] == "acme-new"


async def test_a_contract_says_its_targets_until_sixty_days_after_its_end(sla: Database) -> None:
    long_ago = at(-60 * 86_400 - 1)
    await record(
        sla,
        contract(id="acme-old", contract_type="platino", valid_from=at(-1e7), valid_until=at(-10)),
        contract(id="otra-old", client_id="otra", contract_type="platino", valid_from=at(-1e7), valid_until=long_ago),
    )
    lately, earlier = Story(client="acme"), Story(client="otra")
    await tell(sla, lately.opened(), earlier.opened())
    clock = (await clocks_of(sla, lately.ticket_id))["resolution"]
    assert (clock["contract_id"], clock["contract_version"], clock["target_seconds"]) == ("acme-old", 1, 4 * 3600)
    clock = (await clocks_of(sla, earlier.ticket_id))["resolution"]
    assert (clock["contract_id"], clock["contract_version"], clock["target_seconds"]) == (None, 0, 32 * 3600)


async def test_a_contract_is_for_the_products_that_it_names(sla: Database) -> None:
    await record(sla, contract(id="acme-all"), contract(id="acme-kontar", product_ids=("kontar",), valid_from=at(-2e6)))
    stories = [Story(client="acme", brief={"product": product}) for product in ("kontar", "factela", None)]
    await tell(sla, *(story.opened() for story in stories))
    found = [(await clocks_of(sla, story.ticket_id))["resolution"]["contract_id"] for story in stories]
    assert found == ["acme-kontar", "acme-all", "acme-all"]
    (told,) = await published(sla, "contract:acme-kontar")
    assert told["versions"][0]["product_ids"] == ["kontar"]


async def test_a_caller_whom_nobody_could_identify_has_the_default_targets(sla: Database) -> None:
    await record(sla, contract(contract_type="platino"))
    story = Story(client=None)
    await tell(sla, story.opened(), story.held(100))
    for clock, target in zip(("response", "resolution"), (RESPONSE, RESOLUTION), strict=True):
        kept = (await clocks_of(sla, story.ticket_id))[clock]
        assert (kept["client_id"], kept["contract_id"], kept["contract_version"]) == (None, None, 0)
        assert kept["target_seconds"] == target
    told = await published(sla, story.ticket_id)
    assert names(told) == ["response started", "resolution started", "resolution paused"]
    assert {one["clock"]["contract_id"] for one in told} == {None}


async def test_a_contract_of_its_own_decides_which_holds_pause(sla: Database) -> None:
    await record(sla, contract(pausing_holds=["third-party"]))
    story = Story(client="acme")
    await tell(sla, story.opened(), story.held(100, "waiting-for-client"))
    assert (await clocks_of(sla, story.ticket_id))["resolution"]["course"] == "running"
    await tell(sla, story.released(200, "waiting-for-client"), story.held(300, "third-party"))
    assert (await clocks_of(sla, story.ticket_id))["resolution"]["course"] == "paused"


async def test_without_defaults_no_clock_starts_and_the_reason_is_said(sla: Database) -> None:
    async with sla.connect("test_owner") as connection:
        await connection.execute("DELETE FROM sla.contract_types WHERE id = 'basico'")
    with frozen(0), pytest.raises(NoDefaultTargets, match="migrate"):
        async with sla.begin() as tx:
            await apply(tx, [Story().opened()])


async def test_a_file_of_many_contracts_takes_few_statements_and_the_second_time_changes_nothing(sla: Database) -> None:
    document = Document(contracts=[contract(id=f"c-{number}", client_id=f"k-{number}") for number in range(60)])
    with counted(sla.engine) as first:
        async with sla.begin() as tx:
            assert await documents.load_document(tx, CAUSE, document) == 60
    with counted(sla.engine) as second:
        async with sla.begin() as tx:
            assert await documents.load_document(tx, CAUSE, document) == 0
    assert (len(first), len(second)) == (7, 3)
    assert len([one for one in await published(sla) if one["type"] == "contract.recorded"]) == 60
