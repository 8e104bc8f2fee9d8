"""The command that packs: it goes on after a kill, lets nobody else in, and says what is wrong."""

import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from core.data import prepare
from core.data.imagenet import ImageNet
from core.data.packed import Packed
from core.data.prepare import packing, plan
from core.data.prepare.__main__ import main
from core.data.prepare.encoding import keep
from core.data.records import DataError
from core.lock import Lock
from tests.data import layouts
from tests.data.jpegs import encoded, photograph, saved

_SET = "core.data.imagenet:ImageNet"
_CHECKOUT = Path(prepare.__file__).parents[3]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    layouts.imagenet(tmp_path / "root", {"train": {"n01": 20, "n02": 20}, "val": {"n01": 2, "n02": 1}})
    return tmp_path / "root"


def command(root: Path, folder: Path, *more: str) -> list[str]:
    return [_SET, "--data-root", str(root), "--out", str(folder), *more]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_pack_verify_and_pack_again(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert main(command(root, out, "--jobs", "1")) == 0
    said = capsys.readouterr().out
    assert "train: 40 of 40 images to pack" in said
    assert f"--packed {out}" in said
    before = contents(out)
    assert list(before) == ["manifest.json", "train-00000.shard", "val-00000.shard"]
    assert main(command(root, out, "--verify")) == 0
    assert "train: 40 images, all checksums right, pixels equal to the originals'" in capsys.readouterr().out
    assert main(command(root, out)) == 0
    assert "train: packed already" in capsys.readouterr().out
    assert contents(out) == before
    assert main(command(tmp_path, out, "--verify")) == 0  # the originals are not there
    assert "pixels not compared" in capsys.readouterr().out


def test_a_config_names_the_set(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "rows.py"
    file.write_text(
        "from types import SimpleNamespace\nfrom core.data.imagenet import ImageNet\n"
        "config = SimpleNamespace(data=ImageNet())\n"
    )
    arguments = ["--data-root", str(root), "--out", str(tmp_path / "out"), "--splits", "val", "--jobs", "1"]
    assert main([str(file), *arguments]) == 0
    assert len(Packed(ImageNet(), tmp_path / "out").records(root, "val")) == 3
    file.write_text("config = 1\n")
    assert main([str(file), *arguments]) == 2
    assert "expected a config with a data set in its field `data`" in capsys.readouterr().err
    assert main(["core.data.imagenet:Imagenet", *arguments]) == 2
    assert "expected MODULE:CLASS of a data set" in capsys.readouterr().err


def test_two_processes_write_what_one_writes(root: Path, tmp_path: Path) -> None:
    shards = []
    for jobs in (1, 2):
        (folder := tmp_path / str(jobs)).mkdir()
        made = plan.make(ImageNet(), root, "train", None, folder, 20_000)
        packing.run(made, jobs, lambda images, nbytes: None)
        shards.append(contents(folder))
    assert len(shards[0]) > 2
    assert shards[0] == shards[1]


def test_a_killed_packing_goes_on(root: Path, tmp_path: Path) -> None:
    """SIGKILL at ten moments: whole shards are never written again, the result is that of an uninterrupted packing."""
    folders = tmp_path / "wanted", tmp_path / "killed"
    for folder in folders:
        folder.mkdir()
    whole, made = (plan.make(ImageNet(), root, "train", None, folder, 1) for folder in folders)
    assert len(whole.ends) == 40
    _pack_all(whole)
    draw, kills = random.Random(0), 0
    for _ in range(10):
        before = _inodes(folders[1])
        child = os.fork()
        if child == 0:
            try:
                _pack_all(made)
            finally:
                os._exit(0)
        wanted = len(before) + draw.randint(0, 3)
        while len(_inodes(folders[1])) < wanted:
            time.sleep(0.0005)
        time.sleep(draw.uniform(0, 0.002))
        os.kill(child, signal.SIGKILL)
        kills += os.WIFSIGNALED(os.waitpid(child, 0)[1])
        assert before.items() <= _inodes(folders[1]).items()
    assert kills > 3  # a child that is left alone for long is done before it is killed
    before = _inodes(folders[1])
    _pack_all(made)
    assert before.items() <= _inodes(folders[1]).items()
    assert contents(folders[1]) == contents(folders[0])


def _inodes(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_ino for path in folder.glob("*.shard")}


def _pack_all(made: plan.Plan) -> None:
    if plan.begin(made):
        packing.run(made, 1, lambda images, nbytes: None)
        plan.finish(made, packing.shards(made), ["n01", "n02"])


def test_a_killed_parent_takes_its_processes_along(root: Path, tmp_path: Path) -> None:
    """And what they leave does not hinder the same command."""
    out = tmp_path / "out"
    arguments = [sys.executable, "-m", "core.data.prepare", *command(root, out, "--splits", "train", "--jobs", "2")]
    process = subprocess.Popen(arguments, cwd=_CHECKOUT, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not list(out.glob("*.plan.json")) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    process.wait()
    assert main(command(root, out, "--splits", "train", "--jobs", "1")) == 0
    assert main(command(root, out, "--splits", "train", "--verify")) == 0


def test_a_shard_that_was_removed_is_made_alone(root: Path, tmp_path: Path) -> None:
    made = plan.make(ImageNet(), root, "train", None, tmp_path / "out", 20_000)
    made.folder.mkdir()
    _pack_all(made)
    before, inodes = contents(made.folder), _inodes(made.folder)
    made.shard(1).unlink()
    _pack_all(made)
    assert contents(made.folder) == before
    assert {name for name, inode in _inodes(made.folder).items() if inode != inodes[name]} <= {made.shard(1).name}
    made.shard(1).unlink()
    with pytest.raises(DataError, match="ends"):  # shards of another size do not fit between the others
        plan.begin(plan.make(ImageNet(), root, "train", None, made.folder, 10_000))


def test_a_shard_of_other_images_is_made_anew(root: Path, tmp_path: Path) -> None:
    """One that lies there by mistake, with as many images as planned."""
    made = plan.make(ImageNet(), root, "train", None, tmp_path / "out", 20_000)
    made.folder.mkdir()
    _pack_all(made)
    before = contents(made.folder)
    counts = [len(made.range(number)) for number in range(len(made.ends))]
    other = next(number for number in range(1, len(counts)) if counts[number] == counts[0])
    (made.folder / "manifest.json").unlink()
    made.shard(0).write_bytes(before[made.shard(other).name])
    _pack_all(made)
    assert contents(made.folder) == before


@pytest.mark.parametrize("damage", ["cut short", "too long", "empty"])
def test_a_shard_of_another_size_is_made_anew(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: str
) -> None:
    out = tmp_path / "out"
    arguments = command(root, out, "--splits", "train", "--jobs", "1")
    assert main(arguments) == 0
    before, shard = contents(out), out / "train-00000.shard"
    shard.write_bytes({"cut short": before[shard.name][:-100], "too long": before[shard.name] + b"x"}.get(damage, b""))
    capsys.readouterr()
    assert main(arguments) == 0
    said = capsys.readouterr().out
    assert "packed already" not in said
    assert "train: 40 of 40 images to pack" in said
    assert f"{shard}: damaged, or not of the images that are planned: it is made anew" in said
    assert contents(out) == before


def test_what_verify_says_of_a_flipped_bit_mends_it(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A shard of the right size is left alone until it is removed: the message must say that."""
    out = tmp_path / "out"
    arguments = command(root, out, "--splits", "train", "--jobs", "1")
    assert main(arguments) == 0
    before, shard = contents(out), out / "train-00000.shard"
    data = bytearray(before[shard.name])
    data[100] ^= 1
    shard.write_bytes(data)
    assert main(arguments) == 0
    assert "packed already" in capsys.readouterr().out
    assert main([*arguments, "--verify"]) == 2
    assert re.search(
        f"{re.escape(str(shard))}: its checksum is wrong.*Remove this file and run", capsys.readouterr().err
    )
    shard.unlink()
    assert main(arguments) == 0
    assert contents(out) == before


def test_two_packers_are_refused(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    ready, hold = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        lock = Lock(out)
        os.write(ready[1], b"x")
        os.read(hold[0], 1)
        lock.release()
        os._exit(0)
    os.read(ready[0], 1)
    assert main(command(root, out)) == 2
    assert f"process {child} on" in capsys.readouterr().err
    os.write(hold[1], b"x")
    os.waitpid(child, 0)
    assert main(command(root, out, "--jobs", "1")) == 0


def test_another_packing_in_the_folder_is_refused(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(command(root, out, "--splits", "train", "--jobs", "1")) == 0
    before = contents(out)
    assert main(command(root, out, "--short-side", "20")) == 2
    assert "preparation: null there" in capsys.readouterr().err
    layouts.image(root / "imagenet" / "train" / "n01" / "new.JPEG")
    assert main(command(root, out, "--splits", "train")) == 2
    assert "images: 40 there, 41 here" in capsys.readouterr().err
    assert contents(out) == before
    assert main(command(root, tmp_path / "x", "--quality", "80")) == 2
    assert "--quality goes with --short-side" in capsys.readouterr().err
    for option in ("--jobs", "--shard-mib"):
        assert main(command(root, tmp_path / "x", option, "0")) == 2
        assert "must be 1 or more" in capsys.readouterr().err


def test_a_broken_image_is_named(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = sorted((root / "imagenet" / "train" / "n02").iterdir())[3]
    path.write_bytes(path.read_bytes()[:400])
    assert main(command(root, tmp_path / "out", "--jobs", "1")) == 2
    assert str(path) in capsys.readouterr().err
    assert not list((tmp_path / "out").glob("*.shard"))
    assert not list((tmp_path / "out").glob(".*"))


def test_a_full_disk_is_said_before_the_start(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr("core.data.prepare.__main__.shutil.disk_usage", lambda path: usage)
    assert main(command(root, tmp_path / "out")) == 2
    assert "are to be written, 0.0 MB are free" in capsys.readouterr().err


def test_verify_finds_pixels_that_differ(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert main(command(root, out, "--jobs", "1")) == 0
    path = next((root / "imagenet" / "val" / "n01").iterdir())
    layouts.image(path, seed=99)
    assert main(command(root, out, "--verify", "--splits", "val")) == 2
    assert f"its pixels are not those of {path}" in capsys.readouterr().err


def test_what_is_kept_of_each_kind_of_file() -> None:
    pixels = photograph(50, 70)
    for data in (saved(pixels, progressive=True), saved(pixels, "CMYK")):
        assert keep(data, "x", None) == (data, b"")
    kept = keep(encoded(pixels, "420"), "x", None)
    assert len(kept.lengths) == 2 * 4 * 5  # 5 MCUs in a row: one in a segment
    short = encoded(pixels, "420")[:-500] + b"\xff\xd9"  # libjpeg only warns of what is missing
    assert keep(short, "x", None) == (short, b"")
