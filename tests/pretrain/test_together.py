"""Rows side by side: each ends with the bits that it has alone; who cannot share a stream is refused."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from core import backbone, command, stage
from core.data.imagenet import ImageNet
from core.errors import UserError
from core.recipe import SGD, Recipe
from core.stage import Outcome
from pretrain.__main__ import main
from pretrain.mixing.cutmix import CutMix
from pretrain.mixing.mixup import Mixup
from pretrain.mixing.none import NoMixing
from pretrain.objective import Objective
from pretrain.stage import Pretrain
from pretrain.together import check, execute_together
from pretrain.training import execute
from tests.data import layouts
from tests.pretrain.tiny import CONFIG, images, job_of
from tests.pretrain.tiny import config as tiny


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return images(tmp_path)


def rows() -> dict[str, Pretrain]:
    """What rows may differ in: method, smoothing, network, optimizer, schedule of validation."""
    wide = {"layers": [1, 1, 1, 1], "channels": [8, 16, 16, 16], "stem_width": 8}
    adam = Recipe(optimizer=SGD(lr=0.05, momentum=0.0), batch_size=4, epochs=3)
    return {
        "none": tiny(mixing=NoMixing(), training_kwargs={"drop_path_rate": 0.5}),
        "cutmix": tiny(mixing=CutMix(), label_smoothing=0.1),
        "mixup": tiny(mixing=Mixup(), kwargs=wide, recipe=adam, validate_every=2),
    }


def outputs(folder: Path) -> tuple[dict[str, torch.Tensor], bytes, list[dict[str, Any]]]:
    log = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return backbone.load(folder).model.state_dict(), (folder / "logits.npy").read_bytes(), log


def test_each_row_ends_as_it_does_alone(root: Path) -> None:
    alone = {name: execute(config, job_of(root, config, f"{name}/alone")) for name, config in rows().items()}
    jobs = [(config, job_of(root, config, f"{name}/together")) for name, config in rows().items()]
    together = dict(zip(rows(), execute_together(jobs), strict=True))
    for name in rows():
        assert together[name] == alone[name]
        weights, logits, log = outputs(root / name / "alone")
        others, same_logits, same_log = outputs(root / name / "together")
        assert all(torch.equal(tensor, others[key]) for key, tensor in weights.items()), name
        assert logits == same_logits
        assert log == same_log
    assert len({float(np.load(root / name / "together/logits.npy").sum()) for name in rows()}) == 3


def test_a_row_that_fails_stops_alone(root: Path) -> None:
    bad = replace(rows()["mixup"], recipe=replace(rows()["mixup"].recipe, optimizer=SGD(lr=1e30)))
    configs = {**rows(), "mixup": bad}
    found = execute_together([(config, job_of(root, config, name)) for name, config in configs.items()])
    assert [type(end) for end in found] == [Outcome, Outcome, UserError]
    assert "the loss is" in str(found[2])
    assert (root / "cutmix/backbone.safetensors").is_file()
    assert not (root / "mixup/backbone.safetensors").exists()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"seed": 1}, "seed: 0 in a, 1 in b"),
        ({"image_size": 24}, "image_size: 32 in a, 24 in b"),
        ({"recipe": Recipe(optimizer=SGD(lr=0.1), batch_size=2, epochs=3)}, "recipe.batch_size: 4 in a, 2 in b"),
        ({"recipe": Recipe(optimizer=SGD(lr=0.1), batch_size=4, epochs=5)}, "recipe.epochs: 3 in a, 5 in b"),
        ({"cache_images": True}, "cache_images: false in a, true in b"),
    ],
)
def test_configs_of_different_streams_are_refused(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(UserError, match=told):
        check({"a": tiny(), "b": tiny(**changes)})
    check({"a": tiny(), "b": tiny(mixing=NoMixing(), label_smoothing=0.1, validate_every=3)})


def test_every_difference_is_named_with_both_rows() -> None:
    with pytest.raises(UserError, match="\n  seed: 0 in a, 1 in b\n  resize: 36 in a, 40 in b\n"):
        check({"a": tiny(), "b": tiny(seed=1, resize=40)})


def test_the_command_trains_what_is_not_done_and_refuses_before_it_writes(
    root: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root)
    names = {"a": "CutMix()", "b": "NoMixing()", "c": "Mixup()"}
    paths = {n: str(layouts.write(root / f"{n}.py", CONFIG.replace("CutMix(),", f"{m},"))) for n, m in names.items()}
    args = ["--data-root", str(root)]
    assert main([paths["a"], paths["b"], "--run", "x", *args]) == 2
    assert main([paths["a"], paths["a"], *args]) == 2
    said = capfd.readouterr().err
    assert "--run and --row are for one config" in said
    assert "expected each config once" in said
    other = layouts.write(root / "other.py", CONFIG.replace("batch_size=4", "batch_size=3"))
    assert main([paths["a"], str(other), *args]) == 2
    assert "a and other cannot be trained side by side" in capfd.readouterr().err
    assert not Path("runs").exists()
    assert main([paths["a"], *args]) == 0
    listed: list[str] = []
    plain_fingerprint = ImageNet.fingerprint

    def noted(self: ImageNet, root: Path, split: str, **more: Any) -> str:
        listed.append(split)
        return plain_fingerprint(self, root, split, **more)

    monkeypatch.setattr(ImageNet, "fingerprint", noted)
    before = Path("runs/pretrain/a/seed0/result.json").read_bytes()
    assert main([*paths.values(), *args]) == 0
    assert listed == ["train", "val"], "a big set takes minutes to list: once for all rows"
    said = capfd.readouterr().out
    assert "a/seed0/result.json is done already" in said
    assert "b: top1_error" in said
    results = {n: json.loads(Path(f"runs/pretrain/{n}/seed0/result.json").read_text()) for n in names}
    assert {n: r["row"] for n, r in results.items()} == {n: n for n in names}
    assert Path("runs/pretrain/a/seed0/result.json").read_bytes() == before
    assert not any((Path("runs/pretrain") / n / "seed0/.lock").exists() for n in names)
    assert main([*paths.values(), *args]) == 0
    assert capfd.readouterr().out.count("done already") == 3


def test_rows_take_the_gpus_in_turn(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int | None] = []
    plain_fabric = stage.fabric

    def noted(config: Any, index: int | None = None) -> Any:
        asked.append(index)
        return plain_fabric(replace(config, device="cpu"))

    monkeypatch.chdir(root)
    monkeypatch.setattr(command, "fabric", noted)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(command.Command, "_run", lambda self, jobs: 0)
    paths = [str(layouts.write(root / f"{name}.py", CONFIG.replace('"cpu"', '"auto"'))) for name in "abc"]
    assert main([*paths, "--data-root", str(root)]) == 0
    assert asked == [0, 1, 0]
    asked.clear()
    assert main([paths[0], "--runs", "others", "--data-root", str(root)]) == 0
    assert asked == [None]


def test_rows_stopped_in_mid_epoch_go_on_together_and_end_alike(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped after the fifth of nine steps; the third row begins only then, and catches up."""
    configs = {name: replace(config, checkpoint_every=0.0) for name, config in rows().items()}
    straight = {name: execute(config, job_of(root, config, f"{name}/alone")) for name, config in configs.items()}
    plain_call, calls = Objective.__call__, [0]

    def interrupted(self: Objective, *args: Any) -> Any:
        calls[0] += 1
        if calls[0] > 2 * 5:
            raise KeyboardInterrupt
        return plain_call(self, *args)

    two = {name: configs[name] for name in ("none", "cutmix")}
    jobs = {name: job_of(root, config, f"{name}/together") for name, config in configs.items()}
    with monkeypatch.context() as patch:
        patch.setattr(Objective, "__call__", interrupted)
        with pytest.raises(KeyboardInterrupt):
            execute_together([(config, jobs[name]) for name, config in two.items()])
    found = execute_together([(config, jobs[name]) for name, config in configs.items()])
    assert dict(zip(configs, found, strict=True)) == straight
    for name in configs:
        weights, others = (outputs(root / name / way)[0] for way in ("alone", "together"))
        assert all(torch.equal(tensor, others[key]) for key, tensor in weights.items()), name
