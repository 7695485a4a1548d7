"""The client and the module of the story, found in what the APIs say: nothing here knows an id of the demo data."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from runner.demo.desk import Desk
from runner.errors import RunnerError

PAUSING = "waiting-for-client"


@dataclass(frozen=True)
class Choice:
    """A client whose severe ticket is P1/S1, with a module of a product of which it has one installation."""

    client_id: str
    client_name: str
    product_name: str
    module_id: str
    module_name: str
    product_version: str

    @property
    def words(self) -> str:
        """What an agent types while the caller still says who they are."""
        return " ".join(word.strip(".,") for word in self.client_name.split()[:3]).lower()

    @property
    def next_version(self) -> str:
        """The version that a fix would come in: the last number of the installed one, plus one."""
        head, dot, last = self.product_version.rpartition(".")
        return f"{head}{dot}{int(last) + 1}" if last.isdigit() else f"{self.product_version}.1"


async def choose(desk: Desk) -> Choice:
    """The first fitting Platino client by name; a customised module if it has one. Raises RunnerError for none."""
    async for client in desk.every("inventory", "/v1/clients"):
        if client["tier"] == "platino" and not client["retired"] and await _pauses_for_client(desk, client["id"]):
            installations = [one async for one in desk.every("inventory", "/v1/installations", client=client["id"])]
            if choice := choice_of(client, installations):
                return choice
    raise RunnerError(
        "No hay un cliente Platino con contrato y una sola instalación de un producto. / "
        "There is no Platino client with a contract and exactly one installation of a product: load the demo data."
    )


def choice_of(client: dict[str, Any], installations: list[dict[str, Any]]) -> Choice | None:
    """A module of a product that the client has installed once, customised rather than standard; None without one."""
    used = [one for one in installations if not one["retired"]]
    times = Counter(one["product_id"] for one in used)
    found = [(module, one) for one in used if times[one["product_id"]] == 1 for module in one["modules"]]
    if not found:
        return None
    module, installation = min(found, key=lambda pair: (pair[0]["nature"] != "customised", pair[0]["module_id"]))
    return Choice(
        client_id=client["id"],
        client_name=client["name"],
        product_name=installation["product_name"],
        module_id=module["module_id"],
        module_name=module["name"],
        product_version=installation["product_version"],
    )


async def _pauses_for_client(desk: Desk, client_id: str) -> bool:
    """Whether a contract of the client lets its clocks rest while the desk waits for the client."""
    contracts = [one async for one in desk.every("sla", "/v1/contracts", client=client_id)]
    return any(PAUSING in one["pausing_holds"] and one["contract_type"] == "platino" for one in contracts)
