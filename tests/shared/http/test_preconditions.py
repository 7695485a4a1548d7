"""If-Match and If-None-Match: which versions they mean, and what is answered when they are missing or not met."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import APIRouter, FastAPI

from shared.http.auth import needs
from shared.http.preconditions import IfMatch, IfMatchOrNew
from shared.versions import ANYTHING, Expected, VersionChanged, VersionNotStated
from tests.shared.http.conftest import client_of
from tests.shared.http.issuer import LocalIssuer
from tests.shared.http.sample import sample_app

routes = APIRouter(prefix="/v1", dependencies=[needs("ticket:work")])


@routes.post("/things/{present}/paint")
async def paint_thing(present: int, expected: IfMatch) -> int:
    """Paints a thing that is at this version."""
    expected.check("The thing", present, since=["blue"])
    return present


@routes.put("/things/{present}")
async def record_thing(present: int, expected: IfMatchOrNew) -> int:
    """Records a thing that is at this version; 0 for one that is not there."""
    expected.check("The thing", present)
    return present


@pytest.fixture
def app(issuer: LocalIssuer) -> FastAPI:
    return sample_app(issuer.url, routers=[routes])


async def outcome(
    app: FastAPI, issuer: LocalIssuer, method: str, path: str, **head: str
) -> tuple[int, Any, str | None]:
    headers = {name.replace("_", "-"): value for name, value in head.items()}
    async with client_of(app, issuer.token()) as client:
        answer = await client.request(method, f"/v1/things/{path}", headers=headers)
    code = answer.json()["code"] if answer.status_code >= 400 else None
    return answer.status_code, code, answer.headers.get("etag")


@pytest.mark.parametrize(
    ("if_match", "expected"),
    [
        ('"3"', (200, None, None)),
        ("*", (200, None, None)),
        ('"1", "3"', (200, None, None)),
        ('"x" ,"3",W/"9"', (200, None, None)),
        ('"1",, "3",', (200, None, None)),
        (', ,"3"', (200, None, None)),
        ('"03"', (412, "version-changed", '"3"')),
        ('"+3"', (412, "version-changed", '"3"')),
        ('"3 "', (422, "malformed-condition", None)),
        (",", (422, "malformed-condition", None)),
        ('"2"', (412, "version-changed", '"3"')),
        ('"4"', (412, "version-changed", '"3"')),
        ('W/"3"', (412, "version-changed", '"3"')),
        ('"three"', (412, "version-changed", '"3"')),
        ('"03x"', (412, "version-changed", '"3"')),
        ('"99999999999999999999"', (412, "version-changed", '"3"')),
        ("3", (422, "malformed-condition", None)),
        ("", (422, "malformed-condition", None)),
        ('"3', (422, "malformed-condition", None)),
        ('"3" "4"', (422, "malformed-condition", None)),
        ('*, "3"', (422, "malformed-condition", None)),
        ("x" * 1001, (422, "invalid-request", None)),
        (None, (428, "version-not-stated", None)),
    ],
)
async def test_an_action_is_done_to_what_the_caller_has_seen(
    app: FastAPI, issuer: LocalIssuer, if_match: str | None, expected: tuple[int, str | None, str | None]
) -> None:
    head = {} if if_match is None else {"if_match": if_match}
    assert await outcome(app, issuer, "POST", "3/paint", **head) == expected


@pytest.mark.parametrize(
    ("present", "head", "expected"),
    [
        (0, {}, (200, None, None)),
        (0, {"if_none_match": "*"}, (200, None, None)),
        (0, {"if_match": '"3"'}, (412, "version-changed", None)),
        (0, {"if_match": "*"}, (412, "version-changed", None)),
        (3, {}, (428, "version-not-stated", '"3"')),
        (3, {"if_none_match": "*"}, (412, "version-changed", '"3"')),
        (3, {"if_match": '"3"'}, (200, None, None)),
        (3, {"if_match": "*"}, (200, None, None)),
        (3, {"if_match": '"2"'}, (412, "version-changed", '"3"')),
        (3, {"if_match": '"3"', "if_none_match": "*"}, (422, "malformed-condition", None)),
        (3, {"if_none_match": '"3"'}, (422, "malformed-condition", None)),
    ],
)
async def test_a_put_makes_what_is_new_and_changes_what_the_caller_has_seen(
    app: FastAPI, issuer: LocalIssuer, present: int, head: dict[str, str], expected: tuple[int, str | None, str | None]
) -> None:
    assert await outcome(app, issuer, "PUT", str(present), **head) == expected


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (['"1"', '"3"'], 200),
        (['"3"', '"1"'], 200),
        (['"1", "2"', "", 'W/"3", "3"'], 200),
        (['"1"', '"2"'], 412),
        (['"1"', 'W/"3"'], 412),
        (["*", '"3"'], 422),
        (['"3"', "*"], 422),
        (["*", "*"], 422),
        (['"1', '3"'], 422),
        (['"3"', "3"], 422),
        (['"3"', "x" * 1001], 422),
        (['"1"'] * 300, 422),
    ],
)
async def test_several_lines_of_a_condition_are_one_list(
    app: FastAPI, issuer: LocalIssuer, lines: list[str], expected: int
) -> None:
    """RFC 9110, section 5.3."""
    async with client_of(app, issuer.token()) as client:
        head = [("if-match", line) for line in lines]
        action = await client.post("/v1/things/3/paint", headers=head)
        record = await client.put("/v1/things/3", headers=head)
    assert (action.status_code, record.status_code) == (expected, expected), action.text


@pytest.mark.parametrize("lines", [["*", '"3"'], ['"3"', "*"], ["*", "*"]])
async def test_if_none_match_takes_one_star_and_nothing_beside_it(
    app: FastAPI, issuer: LocalIssuer, lines: list[str]
) -> None:
    async with client_of(app, issuer.token()) as client:
        answer = await client.put("/v1/things/0", headers=[("if-none-match", line) for line in lines])
    assert (answer.status_code, answer.json()["code"]) == (422, "malformed-condition")


async def test_a_412_says_the_present_version_and_what_happened_since(app: FastAPI, issuer: LocalIssuer) -> None:
    async with client_of(app, issuer.token()) as client:
        problem = (await client.post("/v1/things/3/paint", headers={"if-match": '"1"'})).json()
    assert (problem["version"], problem["since"]) == (3, ["blue"])
    assert problem["detail"] == "The thing is at version 3 now: look at it again, then decide."


def test_whoever_has_no_version_in_hand_expects_anything() -> None:
    ANYTHING.check("It", 0)
    ANYTHING.check("It", 7)
    assert Expected(frozenset({2, 5})).newest == 5
    assert ANYTHING.newest == 0


def test_a_refusal_says_what_is_missing() -> None:
    with pytest.raises(VersionNotStated, match="say in If-Match"):
        Expected(frozenset(), stated=False).check("It", 1)
    with pytest.raises(VersionChanged, match="It does not exist"):
        Expected(frozenset({1}), may_be_new=False).check("It", 0)


def test_the_description_knows_the_conditions_and_what_they_answer(app: FastAPI) -> None:
    paths = app.openapi()["paths"]
    action, record = paths["/v1/things/{present}/paint"]["post"], paths["/v1/things/{present}"]["put"]
    headers = [
        {one["name"]: one["required"] for one in each["parameters"] if one["in"] == "header"}
        for each in (action, record)
    ]
    assert headers == [{"If-Match": True}, {"If-Match": False, "If-None-Match": False}]
    for operation in (action, record):
        assert {"412", "428"} <= set(operation["responses"])
        assert operation["responses"]["412"]["content"]["application/problem+json"]
