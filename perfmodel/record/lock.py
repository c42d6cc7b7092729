"""One recorder for a file: the system's lock on the file itself, so a writer that was killed leaves nothing behind.

Where a file system has no locks, as some network folders, there is none.
"""

from __future__ import annotations

import os

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None
try:
    import msvcrt
except ImportError:
    msvcrt = None

FAR = 2**30  # Windows keeps others from reading what is locked, so the byte lies behind any trace that is read


def lock(file: int) -> bool:
    """Take the lock of an open file; False where another holds it."""
    try:
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        elif msvcrt is not None:
            os.lseek(file, FAR, os.SEEK_SET)
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:  # no locks on this file system
        return True
    return True


def unlock(file: int) -> None:
    """Give the lock back, also for forked processes that still have the file open."""
    if fcntl is not None:
        try:
            fcntl.flock(file, fcntl.LOCK_UN)
        except OSError:
            return
