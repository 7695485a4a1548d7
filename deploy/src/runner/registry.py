"""Registries of packages that do not answer: which one it was, why, and what to do.

Needs nothing but Python, so that it runs before anything is installed: `python registry.py COMMAND...` runs an
installer in silence, and where it fails says why.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping

AGAIN = "then say it again: nothing is half done, and what was fetched is kept"
CONNECT = f"Connect this machine, or set HTTPS_PROXY; {AGAIN}."
ADVICE = (
    "Connect this machine, or set HTTPS_PROXY, or name an index that it can reach (PIP_INDEX_URL, UV_DEFAULT_INDEX); "
    f"{AGAIN}."
)
_UNREACHABLE = re.compile(
    r"connection refused|connection reset|timed? ?out|unreachable|name resolution|not known|dns error|"
    r"failed to establish|connect error|max retries exceeded|request failed after|certificate verify|proxyerror",
    re.IGNORECASE,
)
_REASON = re.compile(
    r"connection refused|connection reset(?: by peer)?|(?:operation |read |connect(?:ion)? )?timed out|"
    r"network is unreachable|no route to host|temporary failure in name resolution|name or service not known|"
    r"certificate verify failed|unable to connect to proxy",
    re.IGNORECASE,
)
_URL = re.compile(r"https?://[^\s'\"<>()]+")
_POOL = re.compile(r"\bhost='([^']+)', port=(\d+)")
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")


def silent_registry(said: str) -> str | None:
    """Which address did not answer and why, from what an installer said; None where it failed for another reason."""
    if not _UNREACHABLE.search(said):
        return None
    reason = _REASON.search(said)
    why = f" ({reason.group().lower()})" if reason else ""
    pools = _POOL.findall(said)
    urls = [_CREDENTIALS.sub("", url).rstrip(".,;:") for url in _URL.findall(said)]
    if pools and "proxy" in said.lower() and len(set(pools)) > 1:
        return f"{pools[0][0]} does not answer through the proxy {':'.join(pools[-1])}{why}"
    address = urls[0] if urls else pools[0][0] if pools else "the index of packages"
    return f"{address} does not answer{why}"


def told(said: str, advice: str = ADVICE) -> str:
    """What to tell of an installer that failed."""
    silent = silent_registry(said)
    return f"{silent}. {advice}" if silent else said.strip()


def environment_of_installer(given: Mapping[str, str]) -> dict[str, str]:
    """An index that is named for pip is meant for uv as well."""
    environment = dict(given)
    if given.get("PIP_INDEX_URL") and not (given.get("UV_DEFAULT_INDEX") or given.get("UV_INDEX_URL")):
        environment["UV_DEFAULT_INDEX"] = given["PIP_INDEX_URL"]
    return environment


def main(command: list[str]) -> int:
    """Run the installer; its exit code."""
    done = subprocess.run(
        command,
        env=environment_of_installer(os.environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    if done.returncode:
        print(told(done.stdout.decode(errors="replace")), file=sys.stderr)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
