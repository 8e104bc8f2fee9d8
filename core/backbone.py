"""Backbone files: safetensors whose header says which network the tensors belong to.

Loading one always reports "n of m tensors loaded", and fails unless n is m: a task that needs another head replaces it
after. Pickles are refused: opening one runs its code.
"""

import dataclasses
import importlib
import json
import logging
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from safetensors.torch import save as serialize
from torch import Tensor, nn

from core import atomic, provenance
from core.config import CHECKOUT
from core.errors import UserError
from core.resnet import layer4_to_stride1

_log = logging.getLogger(__name__)
_KEY = "backbone"
_REMEDY = "CONTRIBUTING.md says how such a file is made"
_LENGTH = 8  # bytes of a safetensors file that hold its header's length, and what the header is a multiple of
_ROOMS = ("core", "pretrain", "transfer")
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Spec:
    """What a backbone file's header holds: enough to build the network and to feed it."""

    architecture: str
    """"timm:NAME", "torchvision:NAME", or "package.module:Class" inside this repository."""
    num_classes: int
    """Outputs of the head; 0: no head."""
    input_size: int
    """Side of the images that it was trained on, in pixels."""
    kwargs: dict[str, Any] = field(default_factory=dict)
    """Keyword arguments of the architecture, JSON values."""
    mean: tuple[float, float, float] = IMAGENET_MEAN
    """Mean of the input's channels (RGB in 0..1)."""
    std: tuple[float, float, float] = IMAGENET_STD
    """Standard deviation of the input's channels (RGB in 0..1)."""
    layer4_stride1: bool = False
    """Whether layer4 keeps layer3's resolution (the WSOL protocol)."""
    source: str = ""
    """Where the weights come from: the run, or the library's name."""


@dataclass
class Backbone:
    """A network with its weights: normalised images [N, 3, H, W] -> logits [N, K]."""

    spec: Spec
    model: nn.Module
    report: str
    """"n of m tensors loaded"."""
    given: str = ""
    """What `load` was given: a path, or a library's name."""

    @property
    def name(self) -> str:
        """What messages call it: what the user gave, else where its weights come from."""
        return self.given or self.spec.source or self.spec.architecture


def build(spec: Spec) -> nn.Module:
    """The network of a header, with fresh weights from torch's global generator.

    Raises:
        UserError: no such architecture, or it does not take these arguments.
    """
    library, _, name = spec.architecture.partition(":")
    try:
        model = _constructor(library, name)(num_classes=spec.num_classes, **spec.kwargs)
    except (TypeError, ValueError, RuntimeError, ImportError, AttributeError) as error:
        raise UserError(f"architecture {spec.architecture} with {spec.kwargs}: {error}") from error
    assert isinstance(model, nn.Module)
    if spec.layer4_stride1:
        layer4_to_stride1(model)
    return model


def save(path: Path, model: nn.Module, spec: Spec) -> None:
    """Write a model's tensors and its header, whole or not at all. Raises OSError where the disk is full."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    header = {_KEY: json.dumps(dataclasses.asdict(spec)), "format": "pt"}
    # As bytes: the file's own writer says neither which error of the disk it met nor, always, that it met one.
    atomic.write_bytes(path, _in_order(serialize(tensors, metadata=header)))


def _in_order(data: bytes) -> bytes:
    """The same file with its header's keys sorted: safetensors writes those of the metadata in an order of chance.

    The format: 8 bytes with the length of a JSON header, little-endian; the header, which spaces fill up to a multiple
    of 8; the tensors. A header gives each tensor's place, so that the order of its keys means nothing.
    """
    start = _LENGTH + int.from_bytes(data[:_LENGTH], "little")
    text = json.dumps(json.loads(data[_LENGTH:start]), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    header = text.encode()
    header += b" " * (-len(header) % _LENGTH)
    return b"".join((len(header).to_bytes(_LENGTH, "little"), header, memoryview(data)[start:]))


def load(
    source: str | Path, *, layer4_stride1: bool = False, check: Callable[[nn.Module], object] | None = None
) -> Backbone:
    """A network with its weights, and a report of how many tensors were loaded.

    Args:
        source: a run folder, a .safetensors file, "timm:NAME" or "torchvision:NAME".
        layer4_stride1: let layer4 keep layer3's resolution.
        check: raises UserError where a network is of no use to the caller. It sees a library's network before the
            weights are fetched, since that may take minutes; a file's is the caller's to check.

    Raises:
        UserError: no such file, a pickle, a half-written file, no header, another architecture, tensors missing, or
            what `check` raises.
    """
    path = Path(source)
    if path.is_dir():
        path = path / provenance.BACKBONE
    if not path.exists() and str(source).partition(":")[0] in ("timm", "torchvision"):
        spec, tensors = _from_library(str(source), check)
    else:
        spec, tensors = _read(path)
    spec = dataclasses.replace(spec, layer4_stride1=spec.layer4_stride1 or layer4_stride1)
    model = build(spec)
    report = _fill(model, tensors, str(source))
    _log.info("%s: %s", source, report)
    return Backbone(spec, model, report, str(source))


def _fill(model: nn.Module, tensors: Mapping[str, Tensor], source: str) -> str:
    own = model.state_dict()
    fitting = {n: t for n, t in tensors.items() if n in own and t.shape == own[n].shape}
    missing = [name for name in own if name not in fitting]
    extra = [name for name in tensors if name not in own]
    report = f"{len(fitting)} of {len(own)} tensors loaded"
    if missing or extra:
        first = (missing or extra)[0]
        shapes = f"{first}: the file has {_shape(tensors, first)}, the network {_shape(own, first)}"
        raise UserError(f"{source}: {report}; {len(missing)} missing, {len(extra)} not in the network ({shapes})")
    model.load_state_dict(fitting)
    return report


def _shape(tensors: Mapping[str, Tensor], name: str) -> str:
    return str(list(tensors[name].shape)) if name in tensors else "none"


def _read(path: Path) -> tuple[Spec, dict[str, Tensor]]:
    if not path.is_file():
        raise UserError(
            f"{path}: no such backbone; expected a run folder, a .safetensors file, timm:NAME or torchvision:NAME"
        )
    with path.open("rb") as file:
        pickle = file.read(1) == b"\x80" or zipfile.is_zipfile(path)
    if pickle:
        raise UserError(
            f"{path}: a pickle (a torch.save file) runs code when it is opened; expected safetensors. {_REMEDY}"
        )
    try:
        with safe_open(path, framework="pt") as opened:
            header = (opened.metadata() or {}).get(_KEY)
        tensors = load_file(path)
    except (SafetensorError, OSError) as error:
        raise UserError(
            f"{path}: expected a whole safetensors file ({error}); {path.stat().st_size} bytes are there"
        ) from error
    if header is None:
        raise UserError(
            f"{path}: expected a header '{_KEY}' that names the architecture; core.backbone.save writes it. {_REMEDY}"
        )
    try:
        values = json.loads(header)
        spec = Spec(**{**values, "mean": tuple(values["mean"]), "std": tuple(values["std"])})
    except (ValueError, TypeError, KeyError) as error:
        raise UserError(f"{path}: its header is not a backbone's: {error}") from error
    return spec, tensors


def _constructor(library: str, name: str) -> Any:
    if library == "timm":
        import timm

        return lambda **kwargs: timm.create_model(name, pretrained=False, **kwargs)
    if library == "torchvision":
        import torchvision

        return lambda **kwargs: torchvision.models.get_model(name, weights=None, **kwargs)
    package = library.partition(".")[0]
    if package not in _ROOMS or not (CHECKOUT / library.replace(".", "/")).with_suffix(".py").is_file():
        raise ValueError(f"expected timm:NAME, torchvision:NAME or a module below {', '.join(_ROOMS)} and its class")
    return getattr(importlib.import_module(library), name)


def _from_library(source: str, check: Callable[[nn.Module], object] | None) -> tuple[Spec, dict[str, Tensor]]:
    library, _, name = source.partition(":")
    try:
        if check is not None:
            with torch.random.fork_rng(devices=[]):  # what is drawn later is the same with a check and without
                check(_constructor(library, name)())
        if library == "timm":
            import timm

            model: Any = timm.create_model(name, pretrained=True)
            given = model.pretrained_cfg
            size, mean, std = given["input_size"][-1], tuple(given["mean"]), tuple(given["std"])
            bare = name.partition(".")[0]
        else:
            import torchvision

            model = torchvision.models.get_model(name, weights="DEFAULT")
            size, mean, std, bare = 224, IMAGENET_MEAN, IMAGENET_STD, name
    except UserError as error:  # of the check
        raise UserError(f"{source}: {error}") from error
    except Exception as error:  # libraries raise anything from a failed download to an unknown name
        raise UserError(f"{source}: the library could not give its weights: {type(error).__name__}: {error}") from error
    head = model.get_classifier() if hasattr(model, "get_classifier") else getattr(model, "fc", None)
    classes = head.out_features if isinstance(head, nn.Linear) else 0
    spec = Spec(f"{library}:{bare}", classes, size, {}, mean, std, source=source)
    return spec, dict(model.state_dict())
