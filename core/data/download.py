"""Download a data set that anyone may have, and check what came: `python -m core.data.download cifar100 --data-root D`.

The archive is fetched to a file beside its place, in which the same command goes on after a kill or a lost connection;
it takes its place when its MD5 is the published one. Archives are read as they are; `--unpack` unpacks them too.
ImageNet, CUB, VOC and COCO are not offered: their terms ask for an account, or docs/data.md says where they are.
"""

import argparse
import fcntl
import logging
import shutil
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from http.client import HTTPException
from pathlib import Path
from typing import BinaryIO, cast

from core.data.cifar import CIFAR10, CIFAR100
from core.data.published import md5_of
from core.data.records import DataError
from core.data.tiny_imagenet import TinyImageNet
from core.data.unpack import unpack
from core.interrupt import exit_code

_log = logging.getLogger(__name__)
_SETS = {
    "cifar10": CIFAR10.published_as,
    "cifar100": CIFAR100.published_as,
    "tiny_imagenet": TinyImageNet.published_as,
}
_CHUNK = 1 << 18
_SAY_EVERY = 5.0  # seconds
_TIMEOUT = 60.0  # seconds without a byte


def fetch(url: str, path: Path, md5: str) -> None:
    """Download a file, or go on with a download, and put it in its place when its MD5 is right.

    Args:
        url: http, https or file. path: where the file shall be; it is left alone where it has that MD5.
        md5: 32 hex digits.

    Raises:
        DataError: another process downloads it, it cannot be reached, the disk has no room for it, the connection
            breaks (what came is kept), or what came has another MD5 (it is removed); the file that is there has.
    """
    if path.is_file():
        if (found := md5_of(path)) == md5:
            _log.info("%s is there already, and is the published file", path)
            return
        raise DataError(f"{path} is there with MD5 {found}, published is {md5}; move it away to download it anew")
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    with part.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise DataError(f"{part}: another process is downloading {path.name}") from error
        _complete(url, file, part)
        if (found := md5_of(part)) != md5:
            part.unlink()
            raise DataError(f"{url}: what came has MD5 {found}, published is {md5}; it was removed, try again")
        part.replace(path)
    _log.info("%s: the published file (MD5 %s)", path, md5)


def _complete(url: str, file: BinaryIO, part: Path) -> None:
    """Append what is lacking."""
    there = file.tell()
    request = urllib.request.Request(url, headers={"Range": f"bytes={there}-"} if there else {})
    if request.type not in ("http", "https", "file"):
        raise DataError(f"{url}: expected an address of http, https or file")
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as source:
            if there and getattr(source, "status", None) != 206:  # it starts from the beginning, whatever was asked for
                file.truncate(0)
                there = 0
            length = source.headers.get("Content-Length")
            total = there + int(length) if length else None
            if total is not None and total - there > (free := shutil.disk_usage(part.parent).free):
                raise DataError(f"{part.parent}: {total - there:,} bytes are to come, {free:,} are free")
            _copy(cast(BinaryIO, source), file, there, total)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code != 416:  # "there is nothing after that byte": all of it is here
            raise DataError(f"{url}: {error.code} {error.reason}") from error
    except (urllib.error.URLError, HTTPException, OSError) as error:
        came = f"{file.tell():,} bytes are kept, the same command goes on"
        raise DataError(f"{url}: {getattr(error, 'reason', error) or type(error).__name__}; {came}") from error


def _copy(source: BinaryIO, file: BinaryIO, there: int, total: int | None) -> None:
    began = said = time.monotonic()
    first = there
    while chunk := source.read(_CHUNK):
        file.write(chunk)
        there += len(chunk)
        if (now := time.monotonic()) - said >= _SAY_EVERY:
            said, rate = now, (there - first) / (now - began)
            left = f", {(total - there) / rate:.0f} s left" if total and rate > 0 else ""
            whole = f" of {total / 1e6:,.0f}" if total else ""
            _log.info("%s%s MB, %.1f MB/s%s", f"{there / 1e6:,.0f}", whole, rate / 1e6, left)
    file.flush()
    if total is not None and there < total:
        raise OSError(f"the connection ended after {there:,} of {total:,} bytes")


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; exit code 2 with a message where something is wrong that a user can mend."""
    parser = argparse.ArgumentParser(prog="python -m core.data.download", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", choices=sorted(_SETS), help="the data set")
    parser.add_argument("--data-root", type=Path, default=Path("data"), help="folder of the data sets (%(default)s)")
    parser.add_argument("--url", help="another place of the same archive: a mirror, or file:///path")
    parser.add_argument("--unpack", action="store_true", help="unpack it too; it is read without that")
    parser.add_argument("--check", action="store_true", help="only say whether what is there is what was published")
    args = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout, force=True)
    return exit_code(lambda: _run(args))


def _run(args: argparse.Namespace) -> None:
    published = _SETS[args.data]
    if args.check:
        for line in published.check(args.data_root):
            _log.info("%s", line)
        return
    path = args.data_root / published.archive
    fetch(args.url or published.url, path, published.md5)
    if args.unpack:
        _log.info("%s: unpacked", unpack(path, published.folder))


if __name__ == "__main__":
    sys.exit(main())
