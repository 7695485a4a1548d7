"""What the operating system refused, as one sentence for a person that says what to do."""

from __future__ import annotations

import errno
import os
import socket

DEBUG = "DESK_DEBUG"

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT}
_NOT_ALLOWED = {errno.EACCES, errno.EPERM}
_NOT_REACHED = {errno.ECONNREFUSED, errno.ECONNRESET, errno.ECONNABORTED, errno.EPIPE}
_NO_WAY = {errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN}


def wants_traceback() -> bool:
    """Whether whoever runs the command asked for the program's own view of an error."""
    return os.environ.get(DEBUG, "") not in ("", "0")


def is_full(error: BaseException) -> bool:
    """Whether there was no room left on a disk, or no more was allowed to this user."""
    return isinstance(error, OSError) and error.errno in _NO_ROOM


def explain(error: OSError) -> str:
    """One sentence: what could not be done, and what to do about it."""
    where = _where(error)
    if isinstance(error, socket.gaierror):
        return f"A name of a server is not known here ({error.strerror}): is the address right, does the network work?"
    if isinstance(error, TimeoutError):
        return f"There was no answer in time{where}: does the server run, is the address right?"
    for numbers, said in _SAID:
        if error.errno in numbers:
            return said.format(where=where, reason=error.strerror or str(error))
    return f"The system refused{where}: {error.strerror or str(error) or type(error).__name__}."


def _where(error: OSError) -> str:
    names = [os.fsdecode(each) for each in (error.filename, error.filename2) if isinstance(each, (str, bytes))]
    return f" ({' → '.join(names)})" if names else ""


_SAID = (
    (_NO_ROOM, "The disk is full{where}: nothing was written. Free some space and say it again."),
    ({errno.EFBIG}, "A file may not grow so large here{where}: raise this user's limit (`ulimit -f`)."),
    ({errno.EROFS}, "The disk can only be read{where}: mount it for writing, or use another folder."),
    (_NOT_ALLOWED, "This user may not do that{where}: {reason}. Work as the owner, or mend the permissions."),
    ({errno.ENOENT}, "It does not exist{where}: is the name right?"),
    ({errno.ENOTDIR, errno.EISDIR, errno.EEXIST}, "Something else is in its place{where}: {reason}."),
    ({errno.EMFILE, errno.ENFILE}, "Too many files are open{where}: raise the limit (`ulimit -n`)."),
    ({errno.EADDRINUSE}, "The address is taken{where}: {reason}."),
    (_NOT_REACHED, "A server does not answer: {reason}. Does it run, is its address right?"),
    (_NO_WAY, "A server cannot be reached: {reason}. Is its address right, does the network work?"),
)
