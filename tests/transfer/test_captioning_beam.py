"""Beam search against a plain search, one image and one beam at a time, written from the rules in beam.py."""

import itertools
import math
import random
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from core.errors import UserError
from transfer.tasks.captioning import beam as module
from transfer.tasks.captioning.attention import Attention
from transfer.tasks.captioning.beam import Memory, Rules, State, search
from transfer.tasks.captioning.decoder import Decoder
from transfer.tasks.captioning.nic import NIC

PAD, START, END, UNK = range(4)
Caption = tuple[float, list[int]]


class Transitions:
    """A model whose next word depends on the image (its memory), the last word and the one before (its state)."""

    def __init__(self, logits: Tensor) -> None:
        self.logits = logits  # [N, last but one, last, next]
        self.rows: list[int] = []  # M of each step

    @classmethod
    def drawn(cls, seed: int, images: int, *, words: int = 9, end: float = 0.0, whole: bool = False) -> "Transitions":
        """Random logits; whole: whole numbers from -1 to 1, so that there are ties everywhere."""
        generator = torch.Generator().manual_seed(seed)
        shape = (images, words, words, words)
        if whole:
            return cls(torch.randint(-1, 2, shape, generator=generator).double())
        logits = 2 * torch.randn(shape, generator=generator, dtype=torch.float64)
        logits[..., END] += end
        return cls(logits)

    def __call__(self, last: Tensor, state: State, memory: Memory) -> tuple[Tensor, State]:
        (before,), (image,) = state, memory
        self.rows.append(len(last))
        return self.logits[image.repeat_interleave(len(last) // len(image)), before, last], (last,)

    def search(self, beam: int, rules: Rules) -> tuple[list[list[int]], list[float]]:
        """Of all images: the words of the captions, END included, and their scores."""
        images = torch.arange(len(self.logits))
        words, scores = search(self, (torch.full_like(images, PAD),), (images,), beam=beam, rules=rules)
        return unpadded(words), scores.tolist()

    def log_p(self, image: int, words: list[int]) -> list[float]:
        """Log-probabilities of all words after those."""
        past = [PAD, START, *words]
        logits: Tensor = self.logits[image, past[-2], past[-1]]
        return logits.log_softmax(0, dtype=torch.float64).tolist()

    def log_probability(self, image: int, words: list[int]) -> float:
        """Of a whole caption, END included."""
        return sum(self.log_p(image, words[:i])[word] for i, word in enumerate(words))


def unpadded(words: Tensor) -> list[list[int]]:
    return [[w for w in row if w != PAD] for row in words.tolist()]


def given(max_words: int = 6, **options: Any) -> Rules:
    return Rules(pad=PAD, start=START, end=END, never=(UNK,), max_words=max_words, **options)


def allowed(words: list[int], vocabulary: int, rules: Rules) -> list[int]:
    """Words that may follow `words`, END among them."""
    if len(words) == rules.max_words:
        return [END]
    size = rules.no_repeat
    known = {tuple(words[i : i + size]) for i in range(len(words) - size + 1)} if size else set()
    usable = [w for w in range(vocabulary) if w not in (PAD, START, END, *rules.never)]
    found = [w for w in usable if not size or (*words, w)[-size:] not in known]
    return [END, *found] if len(words) >= rules.min_words or not found else found


def plain(model: Transitions, image: int, beam: int, rules: Rules) -> Caption:
    """A beam search with lists. It goes on until there is no beam, and then takes the best of all finished captions."""
    live: list[Caption] = [(0.0, [])]
    finished: list[Caption] = []
    while live:
        found = []
        for score, words in live:
            log_p = model.log_p(image, words)
            found += [(score + log_p[w], [*words, w]) for w in sorted(allowed(words, len(log_p), rules))]
        kept = sorted(found, key=lambda caption: -caption[0])[:beam]  # a stable sort: ties by beam, then by word
        finished += [(score / len(words) ** rules.alpha, words) for score, words in kept if words[-1] == END]
        live = [caption for caption in kept if caption[1][-1] != END]
    return max(finished, key=lambda caption: caption[0])


def oracle(model: Transitions, image: int, beam: int, rules: Rules) -> Caption:
    """The beam search, and greedy's caption where that is better."""
    searched, greedy = plain(model, image, beam, rules), plain(model, image, 1, rules)
    return greedy if greedy[0] > searched[0] else searched


def cases(count: int) -> list[tuple[int, int, int, float, Rules]]:
    """Seed, vocabulary, beams, END's advantage and rules: every option in all combinations, now and then a clash."""
    draw, found = random.Random(0), []
    for seed in range(count):
        max_words = draw.randint(1, 6)
        options = {"alpha": draw.choice([0.0, 0.0, 0.7, 1.0]), "no_repeat": draw.choice([0, 0, 1, 2, 3])}
        rules = given(max_words, min_words=draw.randint(1, max_words), **options)
        beam, end = draw.choice([1, 2, 3, 5, 20]), draw.choice([-3.0, 0.0, 2.0])
        found.append((seed, draw.randint(5, 12), beam, end, rules))
    return found


@pytest.mark.parametrize(("seed", "words", "beam", "end", "rules"), cases(60))
def test_the_batch_finds_what_a_plain_search_of_each_image_finds(
    seed: int, words: int, beam: int, end: float, rules: Rules
) -> None:
    model = Transitions.drawn(seed, 12, words=words, end=end)
    for image, (found, score) in enumerate(zip(*model.search(beam, rules), strict=True)):
        expected_score, expected = oracle(model, image, beam, rules)
        assert found == expected
        assert score == pytest.approx(expected_score, abs=1e-9)


@pytest.mark.parametrize(("seed", "words", "beam", "_", "rules"), cases(20))
def test_of_equals_the_better_beams_and_the_lower_id_are_kept(
    seed: int, words: int, beam: int, _: float, rules: Rules
) -> None:
    model = Transitions.drawn(seed, 12, words=words, whole=True)
    found, _scores = model.search(beam, rules)
    assert found == [oracle(model, image, beam, rules)[1] for image in range(12)]


@pytest.mark.parametrize(("seed", "words", "beam", "end", "rules"), cases(20))
def test_no_beam_is_worse_than_greedy(seed: int, words: int, beam: int, end: float, rules: Rules) -> None:
    model = Transitions.drawn(seed, 100, words=words, end=end)
    found, greedy = model.search(beam, rules)[1], model.search(1, rules)[1]
    assert all(score >= least - 1e-12 for score, least in zip(found, greedy, strict=True))


def test_a_larger_beam_finds_better_captions_for_some_images() -> None:
    model = Transitions.drawn(3, 300)
    found, greedy = model.search(3, given())[1], model.search(1, given())[1]
    assert sum(score > least + 1e-6 for score, least in zip(found, greedy, strict=True)) > 50


def test_a_search_with_length_normalisation_goes_on_while_a_longer_caption_may_win() -> None:
    rules, later = given(8, alpha=1.0), 0
    for seed in range(10):
        model = Transitions.drawn(seed, 12, words=7)
        model.logits *= 3  # words that are nearly certain: a longer caption's score per word is often better
        for image, found in enumerate(model.search(3, rules)[0]):
            assert found == oracle(model, image, 3, rules)[1]
            later += len(found) > len(plain(model, image, 3, given(8))[1])
    assert later > 20


def test_greedys_caption_is_kept_where_a_plain_beam_loses_it() -> None:
    model = Transitions.drawn(3, 300)
    searched = [plain(model, image, 2, given())[0] for image in range(300)]
    greedy = [plain(model, image, 1, given())[0] for image in range(300)]
    lost = [image for image in range(300) if searched[image] < greedy[image] - 1e-9]
    assert lost  # such images exist: the search of greedy's caption beside the beam is needed
    scores = model.search(2, given())[1]
    for image in lost:
        assert scores[image] == pytest.approx(greedy[image], abs=1e-9)


@pytest.mark.parametrize("rules", [given(5), given(5, min_words=3, no_repeat=2), given(5, no_repeat=1, alpha=1.0)])
def test_beam_1_takes_the_most_probable_allowed_word_until_the_end(rules: Rules) -> None:
    model = Transitions.drawn(1, 40)
    for image, found in enumerate(model.search(1, rules)[0]):
        greedy: list[int] = []
        while END not in greedy:
            log_p = model.log_p(image, greedy)
            greedy.append(max(allowed(greedy, 9, rules), key=log_p.__getitem__))
        assert found == greedy


@pytest.mark.parametrize("rules", [given(3), given(3, alpha=0.7), given(3, min_words=2, no_repeat=1)])
def test_a_beam_that_holds_everything_finds_the_best_of_all_captions(rules: Rules) -> None:
    model = Transitions.drawn(4, 4)
    usable = [w for w in range(9) if w not in (PAD, START, END, UNK)]
    captions = [[*c, END] for n in range(1, 4) for c in itertools.product(usable, repeat=n)]
    captions = [c for c in captions if all(w in allowed(c[:i], 9, rules) for i, w in enumerate(c))]
    for image, (found, score) in enumerate(zip(*model.search(400, rules), strict=True)):
        scores = [model.log_probability(image, c) / len(c) ** rules.alpha for c in captions]
        assert found == captions[scores.index(max(scores))]
        assert score == pytest.approx(max(scores), abs=1e-9)


@pytest.mark.parametrize("beam", [1, 3])
def test_every_caption_is_finished_not_empty_and_free_of_forbidden_words(beam: int) -> None:
    model = Transitions.drawn(5, 60)
    model.logits[..., [PAD, START, UNK]] += 9  # the model wants nothing else
    model.logits[20:40, ..., END] += 20  # these would be empty captions
    model.logits[40:, ..., END] -= 20  # these would never end
    images = torch.arange(60)
    words, scores = search(model, (torch.full_like(images, PAD),), (images,), beam=beam, rules=given(6))
    assert words.shape == (60, 7)
    assert scores.isfinite().all()
    for image, caption in enumerate(words.tolist()):
        end = caption.index(END)
        assert 1 <= end <= 6
        assert not {PAD, START, UNK, END} & set(caption[:end])
        assert set(caption[end + 1 :]) <= {PAD}
        assert end == 1 if 20 <= image < 40 else True
        assert end == 6 if image >= 40 else True


@pytest.mark.parametrize("beam", [1, 4])
def test_no_ngram_comes_twice(beam: int) -> None:
    model = Transitions.drawn(8, 50, words=7, end=-20.0)
    for size in (1, 2, 3):
        rules = given(8, no_repeat=size)
        repeated = 0
        for caption, free in zip(model.search(beam, rules)[0], model.search(beam, given(8))[0], strict=True):
            grams = [tuple(caption[i : i + size]) for i in range(len(caption) - size + 1)]
            assert len(set(grams)) == len(grams)
            repeated += len({tuple(free[i : i + size]) for i in range(len(free) - size + 1)}) < len(free) - size + 1
        assert repeated > 20  # without the rule most captions repeat themselves


def test_where_no_word_is_left_a_caption_ends_before_min_words() -> None:
    model = Transitions.drawn(9, 20, words=6, end=-20.0)  # two words that can be said, each once
    for caption in model.search(3, given(6, min_words=5, no_repeat=1))[0]:
        assert sorted(caption) == [END, 4, 5]
    shortest = min(len(caption) for caption in model.search(3, given(6, min_words=5, no_repeat=3))[0])
    assert shortest > 5  # of n-grams of three there are enough


@pytest.mark.parametrize("vocabulary", [1, 2, 17, 100, 4099, 5000, 10_000])
@pytest.mark.parametrize("beam", [1, 3, 40])
def test_the_best_continuations_of_a_large_vocabulary_are_those_of_a_stable_sort(vocabulary: int, beam: int) -> None:
    generator = torch.Generator().manual_seed(vocabulary)
    log_p = torch.randint(-400, 0, (6, 4, vocabulary), generator=generator).float()  # with ties
    log_p[torch.rand(log_p.shape, generator=generator) < 0.3] = -torch.inf
    score = torch.randint(-9, 0, (6, 4), generator=generator).float()
    found, places = module._continuations(log_p, score, beam)
    expected, order = (log_p + score[:, :, None]).flatten(1).sort(dim=1, descending=True, stable=True)
    finite = expected[:, :beam].isfinite()
    assert found.shape == (6, min(beam, 4 * vocabulary))
    assert found.equal(expected[:, :beam])
    assert places[finite].equal(order[:, :beam][finite])


def test_a_late_look_at_which_images_are_over_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Transitions.drawn(10, 80, end=1.0)
    for beam, rules in ((1, given(9)), (3, given(9)), (3, given(9, alpha=0.7)), (20, given(9, min_words=2))):
        monkeypatch.setattr(module, "_looks", lambda device, length: device.type == "cpu")
        every = model.search(beam, rules)
        for pause in (4, 100):
            monkeypatch.setattr(module, "_looks", lambda _, length, pause=pause: length % pause == pause - 1)
            assert model.search(beam, rules) == every


class Waits(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the calls for which a GPU's host would have to wait."""

    count = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += function in (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.nonzero.default)
        return function(*args, **(kwargs or {}))


def test_between_looks_the_host_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = {}
    for looks, max_words in itertools.product((False, True), (3, 12)):
        monkeypatch.setattr(module, "_looks", lambda *_, looks=looks: looks)
        with Waits() as waits:  # type: ignore[no-untyped-call]
            Transitions.drawn(11, 5, end=-20.0).search(3, given(max_words, no_repeat=2, min_words=2))
        counts[looks, max_words] = waits.count
    assert counts[False, 3] == counts[False, 12]
    assert counts[True, 12] >= counts[False, 12] + 13  # one look a step


def test_the_search_stops_when_all_images_are_over_and_drops_those_that_are() -> None:
    model = Transitions.drawn(7, 10, end=30.0)
    model.logits[7:, ..., END] -= 60
    model.search(1, given(50))
    assert model.rows == [10, 10, *[3] * 49]  # a word and END for seven; three go on to the last word
    model = Transitions.drawn(7, 10, end=30.0)
    model.search(3, given(50))
    assert model.rows[:2] == [10, 30]  # the first step has a beam an image
    assert len(model.rows) <= 4  # greedy's caption was searched again, where it was lost


def test_sixteen_bit_logits_give_scores_of_32_bits_and_the_rules_on_ties_hold() -> None:
    for dtype in (torch.bfloat16, torch.float16):
        model = Transitions.drawn(12, 40)
        model.logits = (model.logits * 8).round().div(8).to(dtype)
        images = torch.arange(40)
        words, scores = search(model, (torch.full_like(images, PAD),), (images,), beam=3, rules=given())
        assert scores.dtype == torch.float32
        for image, (found, score) in enumerate(zip(unpadded(words), scores.tolist(), strict=True)):
            assert score == pytest.approx(model.log_probability(image, found), abs=1e-4)
            assert score == pytest.approx(oracle(model, image, 3, given())[0], abs=1e-4)


def test_a_decoder_in_bfloat16_is_searched_with_scores_of_32_bits() -> None:
    torch.manual_seed(0)
    network = NIC(embed=8, hidden=10).build(6, 12).eval()
    with torch.autocast("cpu", torch.bfloat16):
        words, scores = search(network.step, *network.start(20 * torch.randn(7, 6)), beam=3, rules=given(8))
    assert scores.dtype == torch.float32
    assert all(row.count(END) == 1 and row[0] > UNK for row in words.tolist())


def test_no_images_give_no_captions() -> None:
    words, scores = search(Transitions.drawn(0, 1), (torch.zeros(0),), (torch.zeros(0),), beam=3, rules=given(6))
    assert words.shape == (0, 7)
    assert scores.shape == (0,)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_diverged_model_is_refused(value: float) -> None:
    model = Transitions.drawn(13, 4)
    model.logits[2] = value
    with pytest.raises(UserError, match="logits that are finite"):
        model.search(3, given())


def test_a_vocabulary_without_words_is_refused() -> None:
    with pytest.raises(UserError, match="vocabulary with words, got 4 ids"):
        Transitions.drawn(0, 1, words=4).search(3, given())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_words": 0}, "1 <= min_words <= max_words, got 0 and 6"),
        ({"min_words": 7}, "1 <= min_words <= max_words, got 7 and 6"),
        ({"alpha": -0.1}, "alpha and no_repeat of 0 or more, got -0.1"),
        ({"alpha": math.nan}, "alpha and no_repeat"),
        ({"no_repeat": -1}, "alpha and no_repeat"),
    ],
)
def test_rules_that_make_no_sense_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        given(**options)


def test_an_end_that_is_forbidden_and_no_beams_are_refused() -> None:
    with pytest.raises(ValueError, match="end: expected an id that may be written, got 2"):
        Rules(pad=PAD, start=START, end=END, never=(END,), max_words=6)
    with pytest.raises(ValueError, match="beam: expected at least 1, got 0"):
        Transitions.drawn(0, 1).search(0, given())


@pytest.mark.parametrize("attends", [False, True])
def test_an_image_gets_the_same_caption_alone_and_in_a_batch(attends: bool) -> None:
    torch.manual_seed(0)
    decoder: Decoder = Attention(embed=8, hidden=10, attention=7) if attends else NIC(embed=8, hidden=10)
    network = decoder.build(6, 12).double().eval()
    weights = network.state_dict()
    torch.nn.init.normal_(weights["embed.weight"])
    torch.nn.init.normal_(weights["output.weight"])
    weights["output.bias"][END] = 1.0 if attends else -2.0
    features = 20 * torch.randn(*((7, 5, 6) if attends else (7, 6)), dtype=torch.float64)
    rules = given(8)
    with torch.inference_mode():
        words, scores = search(network.step, *network.start(features), beam=4, rules=rules)
        for image in range(7):
            alone, score = search(network.step, *network.start(features[image : image + 1]), beam=4, rules=rules)
            assert unpadded(alone)[0] == unpadded(words)[image]
            assert score.item() == pytest.approx(scores[image].item(), abs=1e-9)
        logits = network(features[:1], torch.tensor([[START, *unpadded(words)[0]]])).logits
    steps = logits.log_softmax(1).gather(1, torch.tensor(unpadded(words)[0])[:, None])
    assert steps.sum().item() == pytest.approx(scores[0].item(), abs=1e-9)
    assert len({len(caption) for caption in unpadded(words)}) > 1  # some images were over before others
