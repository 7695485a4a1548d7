"""The command `desk`: runs a whole installation of PSA Desk on this machine."""

from __future__ import annotations

import importlib
import os
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from runner import control, report
from runner.errors import RunnerError
from runner.installation import Installation
from runner.logs import follow, last_lines
from shared.errors import DeskError
from shared.system_errors import DEBUG, explain, wants_traceback

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
# What goes into a file or another program is not folded to the width of a screen that nobody looks at.
NOT_A_SCREEN = 140
console = Console(highlight=False, width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else NOT_A_SCREEN)
problems = Console(stderr=True, highlight=False)


@app.callback()
def root(
    debug: Annotated[bool, typer.Option("--debug", help=f"show where an error happened, as {DEBUG}=1 does")] = False,
) -> None:
    """Runs before every command."""
    if debug:
        os.environ[DEBUG] = "1"


@app.command()
def up() -> None:
    """Start everything, wait until it is ready, and say where it is. Repeat it as often as you like."""
    if os.environ.get("DESK_ENV") == "production":
        raise RunnerError("`desk up` is for development; with DESK_ENV=production deploy the services themselves.")
    installation = Installation.from_environment()
    with report.Progress(console) as progress:
        status = control.bring_up(installation, progress.show)
    report.show_installation(console, installation, status)


@app.command()
def down() -> None:
    """Stop everything in order; the data stays."""
    installation = Installation.from_environment()
    with console.status("stopping ..."):
        ended = control.take_down(installation)
    console.print(f"stopped: {', '.join(ended)}" if ended else "nothing was running")


@app.command()
def reset(yes: Annotated[bool, typer.Option("--yes", help="do not ask")] = False) -> None:
    """Stop everything and delete its data: databases, topics, keys, logs. What was downloaded stays."""
    installation = Installation.from_environment()
    if not yes:
        typer.confirm(f"Delete all data of this installation under {installation.state}?", abort=True)
    control.take_down(installation)
    control.delete_data(installation)
    console.print("deleted; `desk up` makes a new installation")
    for name in control.given_servers(installation):
        console.print(f"[yellow]{name} was given by address and was left as it is[/yellow]")


@app.command()
def status() -> None:
    """Show every process: whether it is ready, its pid, port, memory, restarts. Ends with 1 unless all are ready."""
    found = control.look(Installation.from_environment())
    report.show_status(console, found)
    raise typer.Exit(0 if found is not None and found.state == "ready" else 1)


@app.command()
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="for programs")] = False,
    setup: Annotated[bool, typer.Option("--setup", help="what day one lacks: people, rotas, contracts")] = False,
) -> None:
    """Say what is missing, broken or unsafe, and what to do. Changes nothing; ends with 1 when there is a problem.

    With --setup say instead what a running installation lacks before tickets find people, clocks and environments.
    """
    examined = importlib.import_module("runner.doctor").main
    raise typer.Exit(examined(Installation.from_environment(), console, as_json=as_json, about_setup=setup))


# What follows the name is for the service, its --help too.
@app.command(context_settings={"allow_extra_args": True, "allow_interspersed_args": False})
def service(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="the service, such as tickets")],
) -> None:
    """Run a command of a service with this installation's addresses: desk service tickets messaging parked."""
    raise typer.Exit(control.run_service_command(Installation.from_environment(), name, context.args))


@app.command()
def logs(
    process: Annotated[str | None, typer.Argument(help="one process, such as tickets, kafka, supervisor")] = None,
    following: Annotated[bool, typer.Option("-f", "--follow", help="go on until interrupted")] = False,
    lines: Annotated[int, typer.Option("-n", "--lines", help="how many of the last lines")] = 40,
) -> None:
    """Print the last lines of the logs, of one process or of all, and follow them with -f."""
    folder = Installation.from_environment().logs
    found = sorted(folder.glob("*.log"))
    if process is not None and folder / f"{process}.log" not in found:
        raise RunnerError(
            f"There is no log of {process!r}. There are: {', '.join(path.stem for path in found) or '-'}."
        )
    chosen = [path for path in found if process is None or path.stem == process]
    for path in chosen:
        for line in last_lines(path, lines):
            _print_line(path.stem, line, prefixed=process is None)
    if following:
        for name, line in follow(chosen):
            _print_line(name, line, prefixed=process is None)


@app.command()
def token(as_: Annotated[str, typer.Option("--as", help="the persona, such as agent")] = "agent") -> None:
    """Print an access token of a persona, for the Authorization header."""
    from runner.issuer import issue  # the web framework takes half a second to import

    print(issue(Installation.from_environment().state, as_))


@app.command()
def demo(
    from_: Annotated[Path | None, typer.Option("--from", help="an incident log to replay: CSV or CSV.gz")] = None,
    speed: Annotated[float | None, typer.Option(min=0.001, help="seconds of the log in one second; unset: all")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="how many incidents of the log")] = None,
    concurrency: Annotated[int, typer.Option(min=1, max=200, help="how many requests at once")] = 8,
) -> None:
    """Play the main job against the running system and print the trail, with the milliseconds of each reaction.

    With --from FILE replay a real incident log through the same APIs, and count at the end. Exits with 1 when a
    reaction does not come or the counts do not agree.
    """
    # A service that dies closes its sockets under our hands: an answer to deal with, not the end of this program.
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    installation = Installation.from_environment()
    if from_ is None:
        raise typer.Exit(importlib.import_module("runner.demo").main(installation, console))
    replayed = importlib.import_module("runner.replay.show").main
    raise typer.Exit(replayed(installation, console, from_, speed=speed, limit=limit, concurrency=concurrency))


@app.command()
def secrets(
    folder: Annotated[Path, typer.Argument(help="where; only you will be able to look into it")],
    outsider: Annotated[list[str] | None, typer.Option(help="another system that reads Kafka; may be repeated")] = None,
) -> None:
    """Make the secrets of an installation in containers, one file each; what is there already stays.

    Certificates of Kafka that end soon are signed again; until when they are good is printed.
    """
    files = importlib.import_module("runner.secret_files")
    made = files.make_secrets(folder, outsider or [])
    console.print(f"{len(made)} secrets made in {folder}" if made else f"nothing was missing in {folder}")
    console.print(files.tell_validity(folder, made), soft_wrap=True, markup=False)


def _print_line(name: str, line: str, *, prefixed: bool) -> None:
    text = escape(line)
    console.print(f"[cyan]{name:>10}[/cyan] {text}" if prefixed else text, soft_wrap=True)


def main() -> None:
    """Run the command line; what goes wrong is told in a sentence."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        app()
    except (DeskError, OSError) as error:
        if wants_traceback():
            raise
        problems.print(f"[red]{escape(_sentence(error))}[/red]", soft_wrap=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def _sentence(error: DeskError | OSError) -> str:
    return error.message if isinstance(error, DeskError) else explain(error)


if __name__ == "__main__":
    main()
