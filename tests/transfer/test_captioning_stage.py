"""Whole trainings of captioners: cached or fine-tuned, killed, in several processes."""

import dataclasses
import json
import multiprocessing
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning_fabric import Fabric

from core import atomic, processes
from core.errors import UserError
from tests.core.ranks import in_ranks
from tests.transfer.captioning_runs import RECIPE, TASK, WORDS, Trained, left, start, train, write_sets
from transfer.stage import PREDICTIONS, Transfer
from transfer.tasks.captioning.attention import Attention
from transfer.tasks.captioning.nic import NIC
from transfer.tasks.captioning.task import Captioning
from transfer.tasks.captioning.views import View
from transfer.tasks.captioning.vocabulary import FILE, SPECIAL, Vocabulary

STEPS = 3  # of an epoch
DECODERS: dict[str, dict[str, Any]] = {
    "nic": {"decoder": NIC(embed=8, hidden=8, dropout=0.1)},
    "attention": {"decoder": Attention(embed=8, hidden=8, attention=8), "resize": 72, "crop": 64},  # a map of 2 x 2
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sets")
    write_sets(folder)
    return folder


@pytest.mark.parametrize("decoder", DECODERS.values(), ids=DECODERS)
def test_a_frozen_and_a_fine_tuned_encoder_begin_with_the_same_loss(
    decoder: dict[str, Any], root: Path, tmp_path: Path
) -> None:
    """To the rounding of features to float16; the weights, the batches and the dropout are the same."""
    frozen = train(root, tmp_path / "frozen", decoder)
    tuned = train(root, tmp_path / "tuned", {**decoder, "finetune_from": 0})
    assert tuned.losses[0] == pytest.approx(frozen.losses[0], rel=2e-3)
    assert abs(tuned.losses[-1] - frozen.losses[-1]) > 1e-5


@pytest.mark.parametrize("decoder", DECODERS.values(), ids=DECODERS)
def test_until_its_epoch_a_fine_tuned_encoder_is_a_frozen_one(
    decoder: dict[str, Any], root: Path, tmp_path: Path
) -> None:
    frozen = train(root, tmp_path / "frozen", decoder)
    tuned = train(root, tmp_path / "tuned", {**decoder, "finetune_from": 1})
    assert tuned.losses[:STEPS] == frozen.losses[:STEPS]
    assert tuned.losses[STEPS] == pytest.approx(frozen.losses[STEPS], rel=2e-3)  # right at the switch
    assert abs(tuned.losses[-1] - frozen.losses[-1]) > 1e-5


def test_adam_knows_the_encoder_from_its_first_step_on(root: Path, tmp_path: Path) -> None:
    tuned = train(root, tmp_path / "tuned", {"finetune_from": 1})
    decoder, encoder = tuned.state["optimizer"]["param_groups"]
    counts = tuned.state["optimizer"]["state"]
    assert {int(counts[i]["step"]) for i in decoder["params"]} == {3 * STEPS}
    assert {int(counts[i]["step"]) for i in encoder["params"]} == {2 * STEPS}
    assert encoder["lr_scale"] == 0.5


def test_weight_decay_leaves_an_encoder_alone_before_its_epoch(root: Path, tmp_path: Path) -> None:
    """An epoch that never comes; the first step's gradient would be 0, and decay is no gradient."""
    before = start().model.state_dict()
    never = train(root, tmp_path / "never", {"finetune_from": 3})
    names = [name for name in before if name.startswith("layer")]
    assert all(torch.equal(never.encoder[f"encoder.{name}"], before[name]) for name in names)
    assert "there are 3 epochs" in never.more["report"]["encoder"]


def test_trained_parts_move_and_nothing_else_does(root: Path, tmp_path: Path) -> None:
    before = start().model.state_dict()
    after = train(root, tmp_path / "run", {"finetune_from": 2, "freeze_at": 3})
    moved = {
        name for name in before
        if name.startswith("layer") and not torch.equal(after.encoder[f"encoder.{name}"], before[name])
    }  # fmt: skip
    trained = {n for n, _ in start().model.named_parameters() if n.startswith(("layer3", "layer4"))}
    assert moved == trained
    assert "stem, layer1, layer2 stay as they are" in after.more["report"]["encoder"]


def test_it_says_what_is_trained_on_what_and_how_fast(root: Path, tmp_path: Path) -> None:
    done = train(root, tmp_path / "run")
    said = done.more["report"]
    assert said["backbone"].endswith("2 not used (the head), 13 counters of BatchNorm (no result depends on these)")
    assert said["encoder"] == "frozen: its tensors stay as they are"
    assert said["norms"] == "13 BatchNorms of the encoder keep their statistics"
    assert said["images"].startswith("training: stretched to 36 x 36, centre of 32 x 32 px; test: ")
    file = json.loads((root / "coco/annotations/captions_train2017.json").read_text())
    lengths = [len(entry["caption"].split()) for entry in file["annotations"]]
    words, cut = sum(min(n, 5) for n in lengths), sum(n > 5 for n in lengths)
    assert said["captions"] == f"0.00% of {words} training words are <unk>; {cut} of 18 captions are cut"
    assert cut
    assert 0 <= done.more["speed"]["train"]["waiting"] <= 1
    assert set(Vocabulary.load(tmp_path / "run" / FILE).words) == {*SPECIAL, *WORDS}


def test_a_second_run_looks_at_no_image_and_gets_the_same_bits(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = train(root, tmp_path / "first")
    monkeypatch.setattr(View, "__call__", None)
    same(train(root, tmp_path / "second"), first)


def test_another_vocabulary_in_the_runs_folder_is_refused(root: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    Vocabulary((*Vocabulary.build(["a dog"], 1).words, "zebra")).save(tmp_path / "run" / FILE)
    (tmp_path / "run/config.json").write_text(json.dumps({"digest": "test"}))
    with pytest.raises(UserError, match=r"vocabulary of other training captions.*only there: zebra"):
        train(root, tmp_path / "run")


def test_the_weights_that_describe_can_be_an_average_over_the_steps(root: Path, tmp_path: Path) -> None:
    plain = train(root, tmp_path / "plain")
    recipe = dataclasses.replace(RECIPE, ema_decay=0.9)
    averaged = train(root, tmp_path / "averaged", recipe=recipe)
    name = "decoder.output.weight"
    assert torch.equal(averaged.state["model"][name], plain.state["model"][name])
    assert not torch.equal(averaged.state["average"][name], plain.state["model"][name])


def same(a: Trained, b: Trained) -> None:
    assert a.state["model"].keys() == b.state["model"].keys()
    assert all(torch.equal(value, b.state["model"][name]) for name, value in a.state["model"].items())
    assert a.predictions == b.predictions
    assert a.log == b.log


RUNS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "tuned from the second epoch": ({"finetune_from": 1}, {}),
    "attention, random crops, workers": (
        {**DECODERS["attention"], "finetune_from": 1, "augment": True},
        {"workers": 1},
    ),
}


def child(root: Path, folder: Path, run: str, step: int) -> None:
    """A process that is killed before a step of its own (from 1), or, at step 0, before its predictions are written."""
    changes, config = RUNS[run]

    def before(number: int) -> None:
        if number == step:
            os.kill(os.getpid(), signal.SIGKILL)

    if step == 0:
        inner = atomic.write_json

        def write_json(path: Path, *args: Any, **kwargs: Any) -> None:
            if path.name == PREDICTIONS:
                os.kill(os.getpid(), signal.SIGKILL)
            inner(path, *args, **kwargs)

        atomic.write_json = write_json
    train(root, folder, {**changes, "before": before}, checkpoint_every=0.0, **config)


@pytest.mark.parametrize("run", RUNS)
def test_a_run_killed_around_the_switch_ends_with_the_same_bits(run: str, root: Path, tmp_path: Path) -> None:
    changes, config = RUNS[run]
    straight = train(root, tmp_path / "straight", changes, **config)
    # In the first epoch's midst; before its last step; at the switch; a step after it; before the predictions; never.
    for step in (2, 2, 1, 2, 0, 99):
        process = multiprocessing.get_context("fork").Process(target=child, args=(root, tmp_path / "run", run, step))
        process.start()
        process.join()
        assert process.exitcode == (0 if step == 99 else -signal.SIGKILL)
    same(left(tmp_path / "run", [], {}), straight)


def in_two(fabric: Fabric, folder: Path) -> Any:
    root = folder.parent
    tuned = train(root, folder / "tuned", {"finetune_from": 1}, fabric=fabric)
    frozen = train(root, folder / "frozen", fabric=fabric)
    counts = {int(state["step"]) for state in tuned.state["optimizer"]["state"].values()}
    changed = any(not torch.equal(tuned.encoder[name], frozen.encoder[name]) for name in frozen.encoder)
    return [tuned.losses[:STEPS] == frozen.losses[:STEPS], sorted(counts), changed, tuned.losses, frozen.losses]


def two_processes(fabric: Fabric) -> Fabric:
    """As the command makes it for a task some of whose parameters have no part in some steps."""
    os.environ.update(WORLD_SIZE="2", RANK=str(fabric.global_rank))
    task = Captioning(**TASK, finetune_from=1)
    return processes.fabric(Transfer(task=task, recipe=RECIPE, device="cpu"))


def unused(fabric: Fabric, folder: Path) -> Any:
    return in_two(two_processes(fabric), folder)


def test_two_processes_train_an_encoder_from_a_later_epoch_on(tmp_path: Path) -> None:
    write_sets(tmp_path)
    one, two = in_ranks(unused, tmp_path / "two")
    for found in (one, two):
        assert found[:3] == [True, [2 * STEPS, 3 * STEPS], True]
    assert one[3] != two[3]
    alone = train(tmp_path, tmp_path / "alone", {"finetune_from": 1}, RECIPE)
    assert sum(one[3][STEPS:]) / STEPS == pytest.approx(sum(alone.losses[STEPS:]) / STEPS, rel=0.3)
