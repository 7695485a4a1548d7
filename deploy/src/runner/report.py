"""What the commands print: progress, where everything is, and the state of each process."""

from __future__ import annotations

from datetime import datetime

import psutil
from rich.console import Console
from rich.markup import escape
from rich.status import Status as Spinner
from rich.table import Table

from runner.installation import SERVICES, Installation
from runner.personas import PERSONAS
from runner.status import ProcessStatus, Status, StepStatus
from shared import clock


class Progress:
    """One line for each step that is done, and, on a terminal, what is running now."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._shown: set[str] = set()
        self._spinner: Spinner | None = None

    def show(self, status: Status) -> None:
        """Print what is new in this status."""
        for step in status.steps:
            if step.state == "done" and step.name not in self._shown:
                self._shown.add(step.name)
                self._console.print(_step_line(step))
        running = [f"{step.name} {step.seconds:.0f} s" for step in status.steps if step.state == "running"]
        if self._console.is_terminal and running:
            self._spin(escape(", ".join(running)))

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *error: object) -> None:
        """Take the line of what is running away."""
        if self._spinner:
            self._spinner.stop()

    def _spin(self, text: str) -> None:
        if self._spinner is None:
            self._spinner = self._console.status(text)
            self._spinner.start()
        self._spinner.update(text)


def show_installation(console: Console, installation: Installation, status: Status) -> None:
    """Where the APIs are, who one can be, and how to get a token."""
    console.print(f"\n[bold green]PSA Desk is ready[/bold green] after {status.seconds:.1f} s\n")
    places = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for service in SERVICES:
        places.add_row(service, f"{installation.url_of(service)}/openapi.json")
    for process in status.processes:
        if process.name not in SERVICES:
            places.add_row(process.name, process.url)
    console.print(places)
    console.print("\nPersonas, for [bold]desk token --as NAME[/bold]:")
    people = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for persona in PERSONAS:
        people.add_row(persona.key, persona.name, persona.does)
    console.print(people)
    tickets = f"{installation.url_of('tickets')}/v1/tickets"
    console.print("\nA call: ", end="")
    console.print(f'curl -H "Authorization: Bearer $(.venv/bin/desk token --as agent)" {tickets}', soft_wrap=True)
    for note in status.notes:
        console.print(f"[yellow]{escape(note)}[/yellow]")


def show_status(console: Console, status: Status | None) -> None:
    """One line for each process, and what is wrong if anything is."""
    if status is None:
        console.print("nothing was started yet; say `desk up`")
        return
    console.print(
        f"[bold]{status.state}[/bold] since {_local_time(status.since)}"
        + (f": {escape(status.error)}" if status.error else "")
    )
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("process", "ready", "pid", "memory", "restarts", "since", "address"):
        table.add_column(column, justify="right" if column in ("pid", "memory", "restarts") else "left", no_wrap=True)
    for process in status.processes:
        table.add_row(*_process_row(process))
    console.print(table)
    for process in status.processes:
        if process.said:
            instant, _, text = process.said.partition(" ")
            console.print(f"[dim]{_local_time(instant)} {process.name}: {escape(text)}[/dim]", soft_wrap=True)


def _step_line(step: StepStatus) -> str:
    detail = f"  [dim]{escape(step.detail)}[/dim]" if step.detail else ""
    return f"[green]done[/green] {escape(step.name):<22} {step.seconds:6.1f} s{detail}"


def _process_row(process: ProcessStatus) -> list[str]:
    identity = process.identity
    alive = identity is not None and identity.alive()
    ready = "[green]yes[/green]" if alive and process.ready else "[red]no[/red]"
    pid = str(process.pid) if alive else "-"
    since = _local_time(process.since)
    return [process.name, ready, pid, _memory(process), str(process.restarts), since, process.url]


def _local_time(instant: str) -> str:
    """Hours, minutes and seconds where the user is; the date only when it is not today's."""
    if not instant:
        return "-"
    local = datetime.fromisoformat(instant).astimezone()
    today = clock.now().astimezone().date()
    return local.strftime("%H:%M:%S" if local.date() == today else "%d/%m %H:%M:%S")


def _memory(process: ProcessStatus) -> str:
    """Memory of the process and all that it started, in MiB; a page that several of them share counts once."""
    running = process.identity.process() if process.identity else None
    if running is None:
        return "-"
    try:
        members = [running, *running.children(recursive=True)]
        return f"{sum(_own_share(member) for member in members) / 2**20:.0f} MiB"
    except psutil.Error:
        return "-"


def _own_share(process: psutil.Process) -> int:
    """The process' proportional share where the system tells it (Linux), its resident memory elsewhere; bytes."""
    try:
        return int(process.memory_full_info().pss)
    except (AttributeError, psutil.AccessDenied):
        return int(process.memory_info().rss)
