"""GPUs and cores, found without torch."""

import os
from pathlib import Path

import pytest

from launch import machine
from launch.machine import Slot, cpu_cores, gpus, slots


@pytest.fixture
def two_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A /dev with two NVIDIA devices, on a machine without nvidia-smi."""
    monkeypatch.setattr(machine, "_nvidia_smi", lambda: None)
    for name in ("nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm"):
        (tmp_path / name).touch()
    return tmp_path


@pytest.mark.parametrize(
    ("visible", "expected"),
    [
        (None, ["0", "1"]),
        ("", []),
        ("-1", []),
        ("1", ["1"]),
        ("0, GPU-5a1c", ["0", "GPU-5a1c"]),
        ("1,-1,0", ["1"]),
    ],
)
def test_visible_devices_are_cudas(two_gpus: Path, visible: str | None, expected: list[str]) -> None:
    assert gpus({} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}, two_gpus) == expected


def test_no_device_files_mean_no_gpu_whatever_the_variable_says(tmp_path: Path) -> None:
    assert gpus({"CUDA_VISIBLE_DEVICES": "0"}, tmp_path) == []


def test_one_slot_per_gpu_and_more_jobs_share_them(two_gpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "cpu_cores", lambda: 8)
    assert slots(None, {}, two_gpus) == [Slot(0, "0", 4), Slot(1, "1", 4)]
    assert [slot.gpu for slot in slots(3, {}, two_gpus)] == ["0", "1", "0"]
    assert slots(1, {}, two_gpus) == [Slot(0, "0", 8)]
    assert slots(1, {}, two_gpus)[0].environment()["CUDA_VISIBLE_DEVICES"] == "0"


def test_without_gpus_one_slot_of_one_thread_per_core(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "cpu_cores", lambda: 4)
    assert slots(None, {}, tmp_path) == [Slot(i, None, 1) for i in range(4)]
    assert slots(2, {}, tmp_path) == [Slot(0, None, 2), Slot(1, None, 2)]
    assert slots(9, {}, tmp_path)[8] == Slot(8, None, 1)
    assert slots(1, {"OMP_NUM_THREADS": "3"}, tmp_path)[0].threads == 3
    assert slots(2, {"OMP_NUM_THREADS": "16"}, tmp_path)[0].threads == 2
    assert Slot(0, None, 2).environment()["OMP_NUM_THREADS"] == "2"


def test_a_containers_quota_limits_the_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(16)), raising=False)
    quota = tmp_path / "cpu.max"
    assert cpu_cores(quota) == 16
    for text, cores in (("max 100000\n", 16), ("250000 100000\n", 3), ("50000 100000\n", 1), ("6400000 100000\n", 16)):
        quota.write_text(text)
        assert cpu_cores(quota) == cores
