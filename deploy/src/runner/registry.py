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
# Where one of these is said, the registry did answer, whatever else went wrong on the way.
_ANSWERED = re.compile(
    r"hash mismatch|do not match the hashes|no space left on device|disk quota exceeded", re.IGNORECASE
)
# Packages have such names too: pytest-timeout, async-timeout.
_TIMEOUT = r"\btimed out\b|\b(?:read|connect(?:ion)?|operation|network) timeout\b"
_UNREACHABLE = re.compile(
    rf"connection refused|connection reset|{_TIMEOUT}|unreachable|name resolution|not known|dns error|"
    r"failed to establish|connect error|max retries exceeded|request failed after|certificate verify|proxyerror",
    re.IGNORECASE,
)
_REASON = re.compile(
    rf"connection refused|connection reset(?: by peer)?|(?:operation |read |connect(?:ion)? )?timed out|{_TIMEOUT}|"
    r"network is unreachable|no route to host|temporary failure in name resolution|name or service not known|"
    r"certificate verify failed|unable to connect to proxy",
    re.IGNORECASE,
)
_URL = re.compile(r"https?://[^\s'\"<>()]+")
_POOL = re.compile(r"\bhost='([^']+)', port=(\d+)")
# Up to the last @ of the host: a password may hold one.
_CREDENTIALS = re.compile(r"(?<=://)[^/\s]+@")
_ERROR = re.compile(r"\s*error\b", re.IGNORECASE)
LAST_LINES = 20
MOST_ERRORS = 10


def silent_registry(said: str) -> str | None:
    """Which address did not answer and why, from what an installer said; None where it failed for another reason."""
    if _ANSWERED.search(said) or not _UNREACHABLE.search(said):
        return None
    said = _without_credentials(said)
    reason = _REASON.search(said)
    why = f" ({reason.group().lower()})" if reason else ""
    pools = _POOL.findall(said)
    urls = [url.rstrip(".,;:") for url in _URL.findall(said)]
    if pools and "proxy" in said.lower() and len(set(pools)) > 1:
        return f"{pools[0][0]} does not answer through the proxy {':'.join(pools[-1])}{why}"
    address = urls[0] if urls else pools[0][0] if pools else "the index of packages"
    return f"{address} does not answer{why}"


def told(said: str, advice: str = ADVICE) -> str:
    """What to tell of an installer that failed: the registry that is silent, else its errors and how it ended."""
    silent = silent_registry(said)
    if silent:
        return f"{silent}. {advice}"
    lines = _without_credentials(said).strip().splitlines()
    errors = [line for line in lines[:-LAST_LINES] if _ERROR.match(line)]
    return "\n".join(errors[-MOST_ERRORS:] + lines[-LAST_LINES:])


def _without_credentials(said: str) -> str:
    return _CREDENTIALS.sub("", said)


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
