"""The people of the demonstration: one for each role, as whom a developer can call the APIs."""

from __future__ import annotations

from dataclasses import dataclass

from runner.errors import RunnerError


@dataclass(frozen=True)
class Persona:
    """Somebody for whom the development issuer signs tokens: `key` on the command line, `user` in the token."""

    key: str
    user: str
    name: str
    does: str

    @property
    def roles(self) -> list[str]:
        """The roles that the token carries."""
        return [self.key]


PERSONAS = (
    Persona("agent", "lucia.gomez", "Lucía Gómez", "call centre: opens and follows tickets"),
    Persona("analyst", "martin.fernandez", "Martín Fernández", "second level: works the queues"),
    Persona("liaison", "carla.benitez", "Carla Benítez", "third level: derives to Development"),
    Persona("implementer", "diego.sosa", "Diego Sosa", "Implementations: keeps the inventory"),
    Persona("developer", "julieta.acosta", "Julieta Acosta", "Development: moves the tasks"),
    Persona("supervisor", "hernan.molina", "Hernán Molina", "watches clocks, load and money at risk"),
    Persona("billing", "patricia.rios", "Patricia Ríos", "accounts: penalty statements"),
    Persona("auditor", "oscar.villalba", "Óscar Villalba", "reads everything, changes nothing"),
    Persona("admin", "natalia.quiroga", "Natalia Quiroga", "configures groups, targets, calendars"),
    Persona("machine", "integraciones", "Integraciones", "another system of the company"),
)


def persona(key: str) -> Persona:
    """The persona of a role. Raises RunnerError that lists them all for an unknown one."""
    for each in PERSONAS:
        if each.key == key:
            return each
    raise RunnerError(f"There is no persona {key!r}. There are: {', '.join(each.key for each in PERSONAS)}.")
