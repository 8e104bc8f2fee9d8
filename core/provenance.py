"""Where a number comes from: commit, versions, device, digests of files, and the result of the step before."""

import hashlib
import json
import platform
import re
import subprocess
from collections.abc import Sequence
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

from core.config import CHECKOUT
from core.data.records import Need
from core.errors import UserError

PACKAGES = ("torch", "torchvision", "timm", "lightning-fabric", "numpy", "pillow")
BACKBONE = "backbone.safetensors"


def read_result(folder: Path) -> dict[str, Any]:
    """The result.json of the run that a step goes on from.

    Raises:
        UserError: the run is not done, or its result cannot be read.
    """
    path = folder / "result.json"
    if not path.is_file():
        raise UserError(f"{folder}: expected a run that is done, there is no result.json in it; run that step first")
    try:
        result = json.loads(path.read_text())
        assert isinstance(result, dict)
        for key in ("stage", "config", "row", "digest"):
            result[key]
    except (ValueError, KeyError, AssertionError) as error:
        raise UserError(f"{path}: expected a result in JSON with stage, config, row and digest ({error!r})") from error
    return result


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def backbone_sha256(source: str | None) -> str | None:
    """The SHA-256 of the backbone file that a source names; None where a library brings the weights."""
    if source is None:
        return None
    path = Path(source)
    file = path / BACKBONE if path.is_dir() else path
    return sha256(file) if file.is_file() else None


def slug(name: str) -> str:
    """A name as a folder can be called: "timm:resnet50.a1_in1k" -> "timm-resnet50.a1_in1k".

    The same as `eval.table.slug`, which names the folders of a table's rows; a test holds them together.
    """
    return re.sub(r"[^\w.]+", "-", name).strip("-.")


def data_used(needs: Sequence[Need], root: Path) -> list[dict[str, Any]]:
    """Name, split and number of images of each split that a cell read."""
    return [
        {"name": need.data.name, "split": need.split, "images": len(need.data.records(root, need.split))}
        for need in needs
    ]


def environment(device: Any, processes: int = 1) -> dict[str, Any]:
    """Commit, versions, device and number of processes, as result.json holds them.

    Args:
        device: this process's. processes: those that shared the cell, a device each.
    """
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return {"commit": commit(), "versions": versions, "device": _device(device), "processes": processes}


@lru_cache
def commit() -> str | None:
    """The checkout's git commit, with "+changes" when tracked files differ from it; None outside git."""
    try:
        head = _git("rev-parse", "HEAD")
        return head + ("+changes" if _git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def _git(*args: str) -> str:
    return subprocess.run(
        ["git", *args], cwd=CHECKOUT, check=True, capture_output=True, text=True, timeout=20
    ).stdout.strip()


def _device(device: Any) -> str:
    if getattr(device, "type", "cpu") == "cuda":
        import torch

        return f"cuda ({torch.cuda.get_device_name(device)})"
    return f"{getattr(device, 'type', device)} ({platform.machine()})"
