"""`desk demo --from FILE` at the terminal: progress while it plays, the closing count, and whether it agrees."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import stamina.instrumentation
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from runner.installation import SERVICES, Installation
from runner.issuer import issue
from runner.replay import Watcher, replay
from runner.replay.counting import Counts
from runner.replay.log import LogUnreadable, read_incidents
from runner.replay.playing import Tally

FAILURES_SHOWN = 5


def main(
    installation: Installation,
    console: Console,
    path: Path,
    *,
    speed: float | None,
    limit: int | None,
    concurrency: int,
) -> int:
    """Replays a file against the running system; the exit code: 1 when the closing count does not agree.

    Raises RunnerError for a file that is no incident log, and when the system is not up.
    """
    return asyncio.run(_main(installation, console, path, speed, limit, concurrency))


async def _main(
    installation: Installation, console: Console, path: Path, speed: float | None, limit: int | None, concurrency: int
) -> int:
    # What the file lacks is said before the first ticket is opened; a log is read through in less than a second.
    total = sum(1 for _ in read_incidents(path, limit))
    if not total:
        raise LogUnreadable(f"{path} holds no incident.")
    # A retry is counted here; a line for each would tear the progress apart.
    stamina.instrumentation.set_on_retry_hooks([])
    stop = asyncio.Event()
    with _progress(console) as progress, _interruptible(stop, console):
        counts = await replay(
            {service: installation.url_of(service) for service in SERVICES},
            lambda key: issue(installation.state, key),
            read_incidents(path, limit),
            speed=speed,
            concurrency=concurrency,
            watcher=_Bar(progress, total),
            stop=stop,
        )
    show_counts(console, counts)
    return 1 if counts.disagreements() else 0


def show_counts(console: Console, counts: Counts) -> None:
    """The closing count, the events by type, and what does not agree."""
    console.print(_closing(counts))
    console.print("\n[italic]Hechos por tipo / Events per type[/italic]")
    events = Table(box=None, show_header=False)
    for event, times in sorted(counts.events.items()):
        events.add_row(event.removeprefix("desk.").removesuffix(".v1"), f"{times:,}")
    console.print(events)
    for failure in counts.tally.failures[:FAILURES_SHOWN]:
        console.print(f"[red]{escape(failure)}[/red]", soft_wrap=True)
    for left in [*counts.unfinished[:FAILURES_SHOWN], *counts.misplaced[:FAILURES_SHOWN]]:
        console.print(f"[red]{escape(left)}[/red]", soft_wrap=True)
    wrong = counts.disagreements()
    for line in wrong:
        console.print(f"[red]{escape(line)}[/red]")
    if not wrong:
        console.print("[bold green]las cuentas coinciden / the counts agree[/bold green]")


def _closing(counts: Counts) -> Table:
    tally = counts.tally
    table = Table(title="\nCuenta final / Closing count", title_justify="left", box=None, show_header=False)
    requests, seconds = sum(tally.done.values()), max(counts.playing_seconds, 0.001)
    everything = max(counts.playing_seconds + counts.reacting_seconds, 0.001)
    facts = sum(counts.events.values())
    table.add_row("incidentes abiertos / opened", f"{tally.opened:,}", f"{tally.opened / seconds:.1f}/s")
    table.add_row("pedidos aceptados / accepted", f"{requests:,}", f"{requests / seconds:.1f}/s; {_listed(tally.done)}")
    refused: Counter[str] = Counter()
    for (_, code), times in tally.refused.items():
        refused[code] += times
    table.add_row("rechazados por estado / refused", f"{refused.total():,}", _listed(refused))
    table.add_row("dudosos / ambiguous", f"{tally.ambiguous:,}", "repetidos con su clave / repeated under their key")
    table.add_row("entornos / environments", f"{sum(counts.environments.values()):,}", _listed(counts.environments))
    table.add_row("relojes / clocks", f"{counts.clocks:,}", _listed(counts.clocks_by_state))
    ends = tally.ends.values()
    nobody = sum(end.assignee is None for end in ends)
    table.add_row(
        "manos / hands",
        f"{len(ends) - nobody:,}",
        f"de alguien / somebody's; {nobody:,} en la cola / in the queue; "
        f"{sum(end.own for end in ends):,} con el equipo del registro / with the log's own team",
    )
    table.add_row(
        "ajenos al equipo / not of the team", f"{tally.strangers:,}", "no se les asigna / not assigned to them"
    )
    table.add_row("colas / queues", f"{len(counts.queued):,}", f"{counts.queued.total():,} abiertos / open")
    table.add_row(
        "tareas / tasks", f"{counts.tasks:,}", f"{counts.escalations_to_development:,} escalamientos a Desarrollo"
    )
    table.add_row("hechos / events", f"{facts:,}", f"{facts / everything:.1f}/s")
    waited = f"{counts.playing_seconds:.1f} s + {counts.reacting_seconds:.1f} s"
    table.add_row(
        "tiempo / time", waited, "jugar + contar hasta la última reacción / play + count to the last reaction"
    )
    if tally.unread:
        unread = {" / ".join(pair): times for pair, times in tally.unread.items()}
        table.add_row("filas sin sentido / unread rows", f"{tally.unread.total():,}", _listed(unread))
    return table


def _listed(counted: dict[str, int]) -> str:
    return ", ".join(f"{name} {times:,}" for name, times in sorted(counted.items()))


class _Bar(Watcher):
    def __init__(self, progress: Progress, total: int) -> None:
        self._progress = progress
        self._playing: TaskID = progress.add_task("jugando / playing", total=total, rate="")
        self._counting: TaskID | None = None

    def played(self, tally: Tally) -> None:
        done, refused = sum(tally.done.values()), sum(tally.refused.values())
        seconds = self._progress.tasks[self._playing].elapsed or 0.001
        rate = f"{tally.opened / seconds:.0f} tickets/s, {done / seconds:.0f} pedidos/s, {refused} rechazados"
        self._progress.update(self._playing, completed=tally.ended, rate=rate)

    def counted(self, finished: int, of: int) -> None:
        if self._counting is None:
            self._progress.stop_task(self._playing)
            self._counting = self._progress.add_task("reacciones / reactions", total=of, rate="")
        self._progress.update(self._counting, completed=finished)


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, TextColumn("{task.fields[rate]}"), console=console, refresh_per_second=4)


@contextmanager
def _interruptible(stop: asyncio.Event, console: Console) -> Iterator[None]:
    """The first Ctrl-C ends the playing and counts what was opened; the second one ends the program."""
    loop = asyncio.get_running_loop()

    def end_playing() -> None:
        loop.remove_signal_handler(signal.SIGINT)
        console.print("terminando; otra vez Ctrl-C sale ya / ending; Ctrl-C again leaves at once")
        stop.set()

    loop.add_signal_handler(signal.SIGINT, end_playing)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGINT)
