"""What `desk demo` prints: the steps with their reactions, the history of the ticket, and how it ended."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from runner.demo.story import Trail
from runner.personas import persona


def show_trail(console: Console, trail: Trail) -> None:
    """The steps, each with the milliseconds of its request and of every reaction."""
    table = Table(title="El caso principal, paso a paso / The main job, step by step", title_justify="left", box=None)
    table.add_column("quién / who", no_wrap=True, style="cyan")
    table.add_column("hace / does")
    table.add_column("lo tiene / has it", overflow="fold")
    table.add_column("ms", justify="right")
    table.add_column("reacción / reaction", style="green")
    table.add_column("visible\nms", justify="right")
    table.add_column("registro\nrecorded ms", justify="right")
    for step in trail.steps:
        lines = [(one.what, f"{one.visible_ms:.0f}", _number(one.recorded_ms)) for one in step.reactions]
        first, *more = lines or [("", "", "")]
        name = persona(step.persona).name
        done = (name, escape(step.did), escape(step.has_it), f"{step.answer_ms:.0f}")
        table.add_row(*done, escape(first[0]), *first[1:])
        for what, *numbers in more:
            table.add_row("", "", "", "", escape(what), *numbers)
    console.print(table)


def show_history(console: Console, view: dict[str, Any]) -> None:
    """Every fact of the ticket, with the milliseconds since it was opened."""
    title = f"Historia de {view['number']} / History"
    table = Table(title=title, title_justify="left", box=None)
    for column in ("ocurrió\noccurred", "registrado\nrecorded", "hecho\nfact", "de\nby", "quién\nactor"):
        table.add_column(column, justify="right" if column.startswith("registrado") else "left", no_wrap=True)
    began = min(datetime.fromisoformat(entry["recorded_at"]) for entry in view["history"])
    for entry in view["history"]:
        occurred = datetime.fromisoformat(entry["occurred_at"]).astimezone()
        after = (datetime.fromisoformat(entry["recorded_at"]) - began).total_seconds() * 1000
        fact = entry["type"].removeprefix("desk.").removesuffix(".v1")
        source = entry["source"].rpartition("/")[2]
        table.add_row(f"{occurred:%H:%M:%S.%f}"[:-3], f"+{after:.0f} ms", fact, source, escape(entry["actor"]))
    console.print()
    console.print(table)


def show_end(console: Console, trail: Trail) -> None:
    """The state in which everything ended, and the slowest reaction."""
    view = trail.view
    clocks = ", ".join(f"{clock['kind']}: {clock['state']}" for clock in view["clocks"])
    tasks = ", ".join(f"{task['display_id']}: {task['status']} {task['fix_version'] or ''}" for task in view["tasks"])
    # What an hour brings is looked for every few seconds: that says nothing of how fast anybody reacts.
    slowest = max(one.visible_ms for step in trail.steps for one in step.reactions if not one.timed)
    console.print(f"\n[bold green]{view['number']} {view['status']}[/bold green]  relojes: {clocks}  tarea: {tasks}")
    console.print(f"reacción más lenta / slowest reaction: {slowest:.0f} ms")


def _number(milliseconds: float | None) -> str:
    return "" if milliseconds is None else f"{milliseconds:.0f}"
