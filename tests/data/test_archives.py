"""Zip archives read in place agree with zipfile; what is cut off, damaged or hostile is refused by name."""

import hashlib
import http.server
import io
import logging
import os
import pickle
import random
import re
import stat
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import pytest

from core.data import archives, download
from core.data.archives import Member, ZipArchive, open_zip
from core.data.published import Published
from core.data.records import DataError
from core.data.unpack import unpack

NAMES = ["set/a.txt", "set/deep/b.bin", "set/empty", "set/größe.txt"]


def contents() -> dict[str, bytes]:
    rng = random.Random(0)
    return {name: rng.randbytes(3000 * i) + b"0" * 5000 * i for i, name in enumerate(reversed(NAMES))}


def make_zip(path: Path, method: int = zipfile.ZIP_DEFLATED, comment: bytes = b"", before: bytes = b"") -> Path:
    path.write_bytes(before)
    with zipfile.ZipFile(path, "a", method) as file:
        file.mkdir("set")
        for name, content in contents().items():
            file.writestr(name, content)
        file.comment = comment
    return path


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize(("comment", "before"), [(b"", b""), (b"a comment", b""), (b"", b"#!/bin/sh\n")])
def test_the_directory_is_zipfiles(tmp_path: Path, method: int, comment: bytes, before: bytes) -> None:
    path = make_zip(tmp_path / "a.zip", method, comment, before)
    archive = ZipArchive(path)
    with zipfile.ZipFile(path) as expected:
        infos = [info for info in expected.infolist() if not info.is_dir()]
        assert list(archive.members) == [info.filename for info in infos]
        for info, member in zip(infos, archive.members.values(), strict=True):
            assert (member.stored, member.size) == (info.compress_size, info.file_size)
            assert (member.crc, member.method) == (info.CRC, info.compress_type)
            assert archive.read(member) == expected.read(info)


def test_zip64(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 2000)
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 2)
    path = make_zip(tmp_path / "a.zip")
    assert b"PK\6\6" in path.read_bytes()
    archive = ZipArchive(path)
    assert {name: archive.read(member) for name, member in archive.members.items()} == contents()


def test_a_local_header_may_be_long(tmp_path: Path) -> None:
    """Extra fields differ between the local header and the directory's entry."""
    info = zipfile.ZipInfo("a.txt")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        info.extra = b"\xfe\xca" + (200).to_bytes(2, "little") + bytes(200)
        file.writestr(info, b"content")
    archive = ZipArchive(tmp_path / "a.zip")
    assert archive.read(archive.members["a.txt"]) == b"content"


def _read(archive: ZipArchive, member: Member) -> tuple[int, str]:
    return os.getpid(), hashlib.md5(archive.read(member)).hexdigest()


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_an_archive_travels_and_shares_no_offset(tmp_path: Path, method: str) -> None:
    archive = open_zip(make_zip(tmp_path / "a.zip"))
    members = list(archive.members.values()) * 50
    expected = [_read(archive, member)[1] for member in members]  # open before the fork
    with ProcessPoolExecutor(2, get_context(method)) as pool:
        found = list(pool.map(partial(_read, archive), members, chunksize=5))
    assert [digest for _, digest in found] == expected
    assert os.getpid() not in {process for process, _ in found}
    assert len(pickle.dumps(archive)) < 500


def test_open_zip_reads_a_directory_once_and_a_changed_file_anew(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip")
    assert open_zip(path) is open_zip(path)
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("more", b"")
    assert "more" in open_zip(path).members


@pytest.mark.parametrize("keep", [0, 10, 1000, -1, -30, -400])
def test_a_zip_that_is_cut_off(tmp_path: Path, keep: int) -> None:
    path = make_zip(tmp_path / "a.zip")
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataError, match=rf"^{path}: ") as caught:
        ZipArchive(path).members  # noqa: B018
    assert "cut off" in str(caught.value) or "broken" in str(caught.value)


@pytest.mark.parametrize("zip64", [False, True])
def test_a_flipped_bit_is_noticed_or_harmless(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zip64: bool) -> None:
    """Whatever bit flips: the same bytes, or an error that names the archive; never other bytes, never a crash."""
    if zip64:
        monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 10)
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a.txt", b"some content " * 9)
        file.writestr("b.txt", b"other content " * 9)
    data = path.read_bytes()
    noticed = 0
    with path.open("r+b") as file:
        for position in range(0, len(data) * 8):
            at, bit = divmod(position, 8)
            os.pwrite(file.fileno(), bytes([data[at] ^ 1 << bit]), at)
            archive = ZipArchive(path)
            try:
                found = [archive.read(member) for member in archive.members.values()]
            except DataError as error:
                assert str(error).startswith(str(path))  # noqa: PT017
                noticed += 1
            else:
                assert found == [b"some content " * 9, b"other content " * 9]
            os.pwrite(file.fileno(), data[at : at + 1], at)
    assert noticed > len(data) * 2


@pytest.mark.parametrize(
    "name",
    ["../x", "/etc/x", "set/../../x", "C:/x", "..\\x", "set\\..\\..\\x", "\\\\host\\x", "set/..", "a/\\..\\..\\x"],
)
def test_names_that_leave(tmp_path: Path, name: str) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr("set/a", b"")
        file.writestr(name, b"x")
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as tar:
        entry = tarfile.TarInfo(name)
        tar.addfile(entry, io.BytesIO())
    (tmp_path / "in").mkdir()
    for kind in ("zip", "tar.gz"):
        archive = tmp_path / "in" / f"a.{kind}"
        (tmp_path / f"a.{kind}").rename(archive)
        with pytest.raises(DataError, match=r"refused, its member .* would leave the folder"):
            unpack(archive, "set")
        assert {path.name for path in tmp_path.rglob("*")} <= {"in", "a.zip", "a.tar.gz"}
    with pytest.raises(DataError, match="would leave the folder"):
        archives.read_tar(tmp_path / "in" / "a.tar.gz", ["set/a"])


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_doubled_slashes_do_not_make_a_name_absolute(tmp_path: Path, kind: str) -> None:
    """Joined naively, what follows the folder's name would be `tmp_path`/escaped."""
    name = f"set/{tmp_path}/escaped"
    archive = tmp_path / f"a.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(archive, "w") as file:
            file.writestr(name, b"x")
    else:
        with tarfile.open(archive, "w:gz") as tar:
            tar.addfile(tarfile.TarInfo(name), io.BytesIO())
    unpack(archive, "set")
    assert not (tmp_path / "escaped").exists()
    assert (tmp_path / "set" / tmp_path.relative_to("/") / "escaped").is_file()


@pytest.mark.parametrize("name", ["set", "settings/a", "a", "."])
def test_only_the_one_folder_is_unpacked(tmp_path: Path, name: str) -> None:
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as tar:
        tar.addfile(tarfile.TarInfo(name), io.BytesIO())
    with pytest.raises(DataError, match=f"refused, its member '{re.escape(name)}' is not in the folder set/"):
        unpack(tmp_path / "a.tar.gz", "set")
    assert [path.name for path in tmp_path.iterdir()] == ["a.tar.gz"]


@pytest.mark.parametrize("name", ["a..b", "...", "set/..a", "c/d:e"])
def test_names_that_stay(name: str) -> None:
    archives.check_name(name, Path("a.zip"))


def test_links_devices_and_strangers_are_not_unpacked(tmp_path: Path) -> None:
    for kind, target in ((tarfile.SYMTYPE, "/etc"), (tarfile.LNKTYPE, "set/a"), (tarfile.CHRTYPE, "")):
        archive = tmp_path / "a.tar.gz"
        with tarfile.open(archive, "w:gz") as tar:
            tar.addfile(tarfile.TarInfo("set/a"), io.BytesIO())
            entry = tarfile.TarInfo("set/link")
            entry.type, entry.linkname = kind, target
            tar.addfile(entry)
        with pytest.raises(DataError, match="refused, its member 'set/link' is neither a file nor a folder"):
            unpack(archive, "set")
    with tarfile.open(archive, "w:gz") as tar:
        tar.addfile(tarfile.TarInfo("elsewhere/a"), io.BytesIO())
    with pytest.raises(DataError, match="refused, its member 'elsewhere/a' is not in the folder set/"):
        unpack(archive, "set")
    with tarfile.open(archive, "w:gz") as tar:
        tar.addfile(tarfile.TarInfo("set/a"), io.BytesIO())
        tar.addfile(tarfile.TarInfo("set/a"), io.BytesIO())
    with pytest.raises(DataError, match="refused, a member is there twice"):
        unpack(archive, "set")
    assert [path.name for path in tmp_path.iterdir()] == ["a.tar.gz"]


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_unpacked_whole_or_not_at_all(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = tmp_path / f"a.{kind}"
    if kind == "zip":
        make_zip(archive)
    else:
        with tarfile.open(archive, "w:gz") as tar:
            for name, content in contents().items():
                entry = tarfile.TarInfo(name)
                entry.size, entry.mode = len(content), 0o6777
                tar.addfile(entry, io.BytesIO(content))
    (tmp_path / ".set.part").mkdir()  # what a kill left
    folder = unpack(archive, "set")
    assert folder == tmp_path / "set"
    found = {str(path.relative_to(tmp_path)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert found == contents()
    assert not any(path.stat().st_mode & (stat.S_ISUID | stat.S_IXUSR) for path in folder.rglob("*") if path.is_file())
    assert {path.name for path in tmp_path.iterdir()} == {archive.name, "set"}
    with pytest.raises(DataError, match="is there already"):
        unpack(archive, "set")
    folder.rename(tmp_path / "first")
    archive.write_bytes(archive.read_bytes()[:-3000])
    with pytest.raises(DataError, match="cut off"):
        unpack(archive, "set")
    monkeypatch.setattr("core.data.unpack._LIMIT", 10_000)
    make_zip(tmp_path / "b.zip")
    with pytest.raises(DataError, match="refused, it unpacks to more than"):
        unpack(tmp_path / "b.zip", "set")
    assert {path.name for path in tmp_path.iterdir()} == {archive.name, "b.zip", "first"}


@pytest.mark.parametrize("at", ["pixel", "checksum", "last byte"])
def test_a_tar_gz_whose_checksum_is_wrong_is_refused(tmp_path: Path, at: str) -> None:
    """Stored without compression, so that a flipped bit is a wrong pixel that no structure betrays: gzip's CRC does."""
    archive, content = tmp_path / "a.tar.gz", random.Random(1).randbytes(50_000)
    with tarfile.open(archive, "w:gz", compresslevel=0) as tar:
        entry = tarfile.TarInfo("set/a")
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
    assert archives.read_tar(archive, ["set/a"]) == {"set/a": content}
    data = bytearray(archive.read_bytes())
    if at == "pixel":
        data[data.index(content[20_000:20_020])] ^= 1
    elif at == "checksum":
        data[-8] ^= 1
    else:
        del data[-1]
    archive.write_bytes(data)
    told = f"{re.escape(str(archive))}: .*cut off or damaged .* Remove it and get it again"
    with pytest.raises(DataError, match=told):
        archives.read_tar(archive, ["set/a"])
    with pytest.raises(DataError, match=told):
        unpack(archive, "set")
    assert [path.name for path in tmp_path.iterdir()] == ["a.tar.gz"]


@pytest.mark.parametrize("kind", ["bz2", "xz"])
def test_other_compressions_of_a_tar_are_refused(tmp_path: Path, kind: str) -> None:
    archive = tmp_path / "a.tar"
    with tarfile.open(archive, f"w:{kind}") as tar:  # type: ignore[call-overload]  # a mode that is put together
        tar.addfile(tarfile.TarInfo("set/a"), io.BytesIO())
    with pytest.raises(DataError, match=r"compressed by bzip2 or xz; expected .tar or .tar.gz"):
        archives.read_tar(archive, ["set/a"])
    with pytest.raises(DataError, match=r"compressed by bzip2 or xz; expected .tar or .tar.gz"):
        unpack(archive, "set")


class Server(http.server.BaseHTTPRequestHandler):
    """Serves `content`; `drop`: bytes after which the connection ends; `ranges`: whether parts may be asked for."""

    content, drop, ranges = b"", 0, True
    asked: list[str | None]

    def do_GET(self) -> None:
        kind = type(self)
        wanted = self.headers.get("Range")
        kind.asked.append(wanted)
        first = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and kind.ranges else 0
        if first and first >= len(kind.content):
            self.send_error(416)
            return
        rest = kind.content[first:]
        self.send_response(206 if first else 200)
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        self.wfile.write(rest[: kind.drop or None])
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[tuple[type[Server], str]]:
    class Handler(Server):
        content = random.Random(0).randbytes(300_000)
        asked: list[str | None] = []  # noqa: RUF012

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as service:
        threading.Thread(target=service.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield Handler, f"http://127.0.0.1:{service.server_port}/a.zip"
        service.shutdown()


def md5(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()


@pytest.mark.parametrize("ranges", [True, False])
def test_a_download_goes_on(tmp_path: Path, server: tuple[type[Server], str], ranges: bool) -> None:
    handler, url = server
    handler.drop, handler.ranges = 100_000, ranges
    path, checksum = tmp_path / "new" / "a.zip", md5(handler.content)
    with pytest.raises(DataError, match="100,000 bytes are kept, the same command goes on"):
        download.fetch(url, path, checksum)
    assert not path.exists()
    handler.drop = 0
    download.fetch(url, path, checksum)
    assert path.read_bytes() == handler.content
    assert handler.asked == [None, "bytes=100000-"]
    assert [p.name for p in path.parent.iterdir()] == ["a.zip"]
    download.fetch(url, path, checksum)
    assert len(handler.asked) == 2, "what is there is not downloaded again"


def test_a_download_that_was_killed_at_its_end(tmp_path: Path, server: tuple[type[Server], str]) -> None:
    handler, url = server
    (tmp_path / ".a.zip.part").write_bytes(handler.content)
    download.fetch(url, tmp_path / "a.zip", md5(handler.content))
    assert (tmp_path / "a.zip").read_bytes() == handler.content


def test_downloads_that_are_not_the_published_file(tmp_path: Path, server: tuple[type[Server], str]) -> None:
    _, url = server
    with pytest.raises(DataError, match=r"what came has MD5 .*, published is 00"):
        download.fetch(url, tmp_path / "a.zip", "00")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "a.zip").write_bytes(b"mine")
    with pytest.raises(DataError, match="move it away"):
        download.fetch(url, tmp_path / "a.zip", "00")
    assert (tmp_path / "a.zip").read_bytes() == b"mine"
    with pytest.raises(DataError, match=r"No such file|nothing\.zip"):
        download.fetch(f"file://{tmp_path}/nothing.zip", tmp_path / "b.zip", "00")
    with pytest.raises(DataError, match="expected an address of http, https or file"):
        download.fetch("ftp://127.0.0.1/a.zip", tmp_path / "b.zip", "00")


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    source = make_zip(tmp_path / "source.zip")
    published = Published("http://127.0.0.1:9/no", "a.zip", md5(source.read_bytes()), "set", {"a.txt": "00"})
    monkeypatch.setattr(download, "_SETS", {"mine": published})
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    root = tmp_path / "data"
    command = ["mine", "--data-root", str(root)]
    assert download.main([*command, "--check"]) == 2
    assert "expected a.zip or set/, neither is there" in capsys.readouterr().err
    assert download.main([*command, "--url", f"file://{source}", "--unpack"]) == 0
    assert (root / "set" / "deep" / "b.bin").read_bytes() == contents()["set/deep/b.bin"]
    assert download.main([*command, "--check"]) == 0
    said = capsys.readouterr().out
    assert f"{root / 'a.zip'}: the published file" in said
    assert f"{root / 'set' / 'a.txt'}: not the published file (MD5 {md5(contents()['set/a.txt'])}" in said
    assert download.main([*command, "--url", "file:///nothing"]) == 0, "it is there"
