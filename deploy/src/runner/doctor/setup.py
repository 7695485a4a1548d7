"""What the doctor asks about day one: teams without people, holes in rotas, clients of whom nothing is known."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx2

from runner.doctor.findings import Finding, ok, problem, warning
from runner.installation import Installation

ANSWER_SECONDS = 10.0
# Who sets an installation up.
ASKED_AS = "admin"


def examine(installation: Installation) -> list[Finding]:
    """What is missing before tickets find people, clocks and environments, as the tickets service says it."""
    if installation.given_issuer:
        return [
            problem(
                "setup",
                f"tokens come from {installation.given_issuer}, which gives this program none",
                "ask `GET /v1/setup` of tickets with a token of your own",
            )
        ]
    from runner.issuer import issue  # the web framework takes half a second to import

    head = {"authorization": f"Bearer {issue(installation.state, ASKED_AS)}"}
    try:
        with httpx2.Client(timeout=ANSWER_SECONDS, trust_env=False) as client:
            answer = client.get(f"{installation.url_of('tickets')}/v1/setup", headers=head)
            return list(judge(answer.raise_for_status().json()))
    except (httpx2.HTTPError, ValueError, LookupError, TypeError) as error:
        return [problem("setup", f"tickets does not say it: {error!r}", "say `desk up`, or see `desk logs tickets`")]


def judge(told: dict[str, Any]) -> Iterator[Finding]:
    """What is said of an answer of `GET /v1/setup`."""
    for lack in told["lacks"]:
        yield warning(lack["kind"], lack["says"], lack["action"])
    if told["complete"]:
        yield ok("setup", "nothing is missing: teams have people and rotas, clients a contract and an installation")
