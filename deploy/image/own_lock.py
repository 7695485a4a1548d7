"""python own_lock.py NAMES LOCK: prints the entries of LOCK, hashes and all, of the packages that NAMES lists."""

import re
import sys
from pathlib import Path


def entries(lock: str) -> dict[str, str]:
    """The entries of a lock file by package. One name may stand twice, once for each marker."""
    found: dict[str, str] = {}
    for entry in re.split(r"\n(?=[a-zA-Z0-9])", lock.strip()):
        name = re.split(r"[=\[; ]", entry)[0]
        found[name] = f"{found[name]}\n{entry}" if name in found else entry
    return found


def part_of(lock: str, names: list[str]) -> str:
    """Their entries, in their order. Raises SystemExit for a name that the lock does not have."""
    locked = entries(lock)
    if missing := [name for name in names if name not in locked]:
        raise SystemExit(f"the lock does not have {', '.join(missing)}: say `make lock-images`")
    return "\n".join(locked[name] for name in names) + "\n"


if __name__ == "__main__":
    given = [Path(argument).read_text(encoding="utf-8") for argument in sys.argv[1:]]
    print(part_of(given[1], given[0].split()), end="")
