"""The whole way in miniature: a tiny world, two rows, every column, through the launcher; again; then killed."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from core.config import CHECKOUT

WORLD = """
from core.data.synthetic import World
WORLD = World(
    name="tiny", imagenet_classes=6, imagenet_train=8, imagenet_val=4, cub_classes=6, cub_train=4, cub_test=3,
    voc_trainval=8, voc_test=5, coco_train=8, coco_val=6,
)
"""
SHORT = "replace(full, world=WORLD, recipe=replace(full.recipe, epochs=None, steps=3, batch_size=4, warmup_steps=0))"
PRETRAIN = "replace(full, world=WORLD, low_resolution=None, recipe=replace(full.recipe, epochs=2, batch_size=8))"
CONFIGS = {
    "pretrain/tiny_baseline": ("pretrain/quick_baseline", PRETRAIN),
    "pretrain/tiny_cutmix": ("pretrain/quick_cutmix", PRETRAIN),
    "transfer/tiny_imagenet_eval": ("transfer/quick_imagenet_eval", "replace(full, world=WORLD)"),
    "transfer/tiny_cub": ("transfer/quick_cub", SHORT),
    "transfer/tiny_voc_ssd": ("transfer/quick_voc_ssd", SHORT),
    "transfer/tiny_voc_frcnn": ("transfer/quick_voc_frcnn", SHORT),
    "transfer/tiny_coco_nic": ("transfer/quick_coco_nic", SHORT),
    "wsol/tiny_imagenet_cam": ("wsol/quick_imagenet_cam", "replace(full, world=WORLD)"),
    "wsol/tiny_cub_cam": ("wsol/quick_cub_cam", "replace(full, world=WORLD)"),
}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with configs made from the quick ones, shortened."""
    folder = tmp_path_factory.mktemp("house")
    (folder / "tiny_world.py").write_text(WORLD)
    for name, (full, changed) in CONFIGS.items():
        path = folder / "configs" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            f'"""Command: none."""\nfrom dataclasses import replace\nfrom tiny_world import WORLD\n'
            f"from configs.{full.replace('/', '.')} import config as full\nconfig = {changed}\n"
        )
    quick = (CHECKOUT / "configs/tables/quick.py").read_text().replace("quick", "tiny")
    rows = [line for line in quick.splitlines() if not ('Row("Mixup"' in line or 'Row("Cutout"' in line)]
    (folder / "configs/tables").mkdir()
    (folder / "configs/tables/tiny.py").write_text("\n".join(rows))
    references = folder / "configs/references"
    references.mkdir()
    (references / "cutmix_paper.py").write_text((CHECKOUT / "configs/references/cutmix_paper.py").read_text())
    return folder


def command(folder: Path, *words: str) -> subprocess.Popen[str]:
    path = os.pathsep.join([str(CHECKOUT), str(folder)])
    return subprocess.Popen(
        [sys.executable, "-m", "launch", str(folder / "configs/tables/tiny.py"), *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run(folder: Path, *words: str) -> tuple[int, str]:
    process = command(folder, *words)
    said = process.communicate()[0]
    return process.returncode, said


def test_the_whole_way(house: Path) -> None:
    code, said = run(house)
    assert code == 0, said
    rows = list(csv.DictReader((house / "runs/tables/tiny.csv").read_text().splitlines()))
    assert len(rows) == 2 * 8
    assert {row["status"] for row in rows} == {"ok"}, rows
    results = {path.parent: json.loads(path.read_text()) for path in (house / "runs").rglob("result.json")}
    assert len(results) == 2 * 8
    by_digest = {result["digest"]: result for result in results.values()}
    for folder, result in results.items():
        assert (folder / "predictions.json").exists() or (folder / "boxes.json").exists(), folder
        assert not (folder / "checkpoint.pt").exists(), folder
        if result["stage"] != "pretrain":
            assert result["upstream"] in by_digest, f"{folder} names the step before"
            assert result["backbone_sha256"]
        if result["stage"] == "transfer":
            trained = [] if "imagenet_eval" in folder.parts[-3] else ["train"]
            assert sorted(result["more"]["speed"]) == ["test", *trained], f"{folder} says how fast it was"
    nic = json.loads((house / "runs/transfer/tiny_coco_nic/tiny_cutmix/seed0/predictions.json").read_text())
    assert len(nic) == 6
    assert "CutMix" in (house / "runs/tables/tiny.md").read_text()

    stamps = {folder: (folder / "result.json").stat().st_mtime_ns for folder in results}
    started = time.monotonic()
    code, said = run(house)
    assert code == 0, said
    assert time.monotonic() - started < 30, "a second launch imports nothing and computes nothing"
    assert {folder: (folder / "result.json").stat().st_mtime_ns for folder in results} == stamps


def test_a_launch_killed_in_its_midst_ends_with_the_same_numbers(house: Path) -> None:
    words = ["--runs", "runs_killed", "--rows", "CutMix", "--columns", "ImageNet top-1 error,ImageNet MaxBoxAccV2"]
    process = command(house, *words)
    deadline = time.monotonic() + 120
    while not list((house / "runs_killed").rglob("metrics.jsonl")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not list((house / "runs_killed").rglob("result.json")), "killed before anything was done"
    code, said = run(house, *words)
    assert code == 0, said
    for folder in ("pretrain/tiny_cutmix", "wsol/tiny_imagenet_cam/tiny_cutmix"):
        once, again = (
            json.loads((house / runs / folder / "seed0/result.json").read_text()) for runs in ("runs", "runs_killed")
        )
        assert once["metrics"] == again["metrics"]
        assert once["digest"] == again["digest"]
