"""One process in a run's folder: a lock that the system takes back when its process ends, however it ends."""

import contextlib
import errno
import fcntl
import os
import socket
import weakref
from pathlib import Path

from core.errors import UserError

NAME = ".lock"
_HELD = (errno.EACCES, errno.EAGAIN)
_ours: dict[tuple[int, int], int] = {}
"""Device and inode of each lock file that is held -> the process that holds it: a forked child inherits this too."""


class Busy(UserError):
    """Another process has the lock."""


class Lock:
    """The lock on a folder, from `Lock(folder)` until `release`, or until the process ends, by SIGKILL too.

    A POSIX record lock (`fcntl.lockf`) rather than flock: it belongs to the process that took it, so that a data loader
    forked from that process, which outlives a SIGKILL of it by seconds, does not keep the folder locked.
    The file names the holder; it is no lock by itself, and one that a killed process left is taken over.

    The price: the system grants its holder a second lock on the same file, and drops both as soon as the process closes
    either. A second `Lock` on a folder that this process holds is therefore refused, before the file is opened. Threads
    that take the same folder at the very same moment are not kept apart.
    """

    def __init__(self, folder: Path) -> None:
        """Take the lock; the folder is made when absent.

        Raises:
            Busy: another process has it; the message names the folder and that process.
            UserError: this process has it; or there can be no such folder.
            OSError: the disk is full, or may not be written to.
        """
        _make(folder)
        self._path = folder / NAME
        _refuse_ours(self._path)
        handle = _locked(self._path)
        while not _same(handle, self._path):  # its holder removed the file after we had opened it
            os.close(handle)
            handle = _locked(self._path)
        inode = _inode(os.fstat(handle))
        _ours[inode] = os.getpid()
        self._close = weakref.finalize(self, _close, handle, inode)
        os.ftruncate(handle, 0)
        os.write(handle, f"process {os.getpid()} on {socket.gethostname()}\n".encode())

    def release(self) -> None:
        """Let others in, and leave no file. Twice is as once."""
        if self._close.alive:
            self._path.unlink(missing_ok=True)
            self._close()


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError, FileNotFoundError) as error:
        above = next((path for path in (folder, *folder.parents) if path.exists()), folder)
        why = f"{above} is a file" if above.is_file() else f"no folder can be made in {above}"
        raise UserError(f"{folder}: expected a folder for the run, or a place to make it; {why}") from error


def _inode(stat: os.stat_result) -> tuple[int, int]:
    return stat.st_dev, stat.st_ino


def _close(handle: int, inode: tuple[int, int]) -> None:
    _ours.pop(inode, None)
    os.close(handle)


def _refuse_ours(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        if _ours.get(_inode(path.stat())) == os.getpid():
            raise UserError(
                f"{path.parent}: this process is at work in this folder already; expected one lock at a time"
            )


def _locked(path: Path) -> int:
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in _HELD:  # a file system without locks
            return handle
        holder = os.read(handle, 200).decode(errors="replace").strip() or "another process"
        os.close(handle)
        raise Busy(f"{path.parent}: {holder} is at work in this folder; wait for it or stop it") from None
    return handle


def _same(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False
