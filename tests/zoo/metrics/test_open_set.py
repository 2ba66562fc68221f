from __future__ import annotations

import numpy as np
import pytest

from zoo.metrics import open_set as module
from zoo.metrics.open_set import Spread, fpir_at, lowest_threshold, open_set
from zoo_core.errors import RunError


def images(classes=60, each=6, noise=0.6, seed=0):
    generator = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes), each)
    embeddings = generator.normal(size=(classes, 12))[labels] + noise * generator.normal(size=(len(labels), 12))
    mixed = generator.permutation(len(labels))
    return embeddings[mixed].astype(np.float32), labels[mixed]


def by_hand(embeddings, labels, groups, registered, references, seed, number):
    """One gallery, by plain loops: best score of strangers; score and number of classes ahead of queries."""
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    random = np.random.default_rng([seed, references, number])
    names, sizes = np.unique(labels, return_counts=True)
    chosen = random.permutation(names[sizes > references])[:registered]
    shuffled = random.permutation(len(labels))
    gallery = {name: [row for row in shuffled if labels[row] == name][:references] for name in chosen}
    rest = set(range(len(labels))) - {row for rows in gallery.values() for row in rows}
    near = {groups[rows[0]] for rows in gallery.values()}
    strangers, queries = [], []
    for row in sorted(rest):
        scores = {name: max(unit[row] @ unit[one] for one in rows) for name, rows in gallery.items()}
        if labels[row] in scores:
            own = scores.pop(labels[row])
            queries.append((own, sum(score >= own for score in scores.values())))
        elif groups[row] not in near:
            strangers.append(max(scores.values()))
    return np.array(strangers), queries


@pytest.mark.parametrize("block", [2**22, 300])
@pytest.mark.parametrize("references", [1, 4])
def test_identification_is_that_of_plain_loops(block, references, monkeypatch):
    monkeypatch.setattr(module, "_BLOCK_SCORES", block)
    embeddings, labels = images()
    groups = labels // 2
    (found,) = open_set(
        embeddings,
        labels.tolist(),
        groups.tolist(),
        registered=[12, 1000],
        references=[references],
        galleries=5,
        seed=3,
    )
    trials = [by_hand(embeddings, labels, groups, 12, references, 3, number) for number in range(5)]
    assert (found.registered, found.references, found.galleries) == (12, references, 5)
    assert found.strangers == np.mean([len(strangers) for strangers, _ in trials])
    assert found.queries == 12 * (6 - references)
    assert found.strangers + found.queries + found.left_out == 360 - 12 * references
    for rank in (1, 5):
        rates = [np.mean([ahead < rank for _, ahead in queries]) for _, queries in trials]
        assert found.ranks[rank].mean == pytest.approx(np.mean(rates))
        assert found.ranks[rank].deviation == pytest.approx(np.std(rates, ddof=1))
    rates = []
    for strangers, queries in trials:
        limit = np.sort(strangers)[::-1][int(len(strangers) * 0.05)]
        rates.append(np.mean([own > limit and ahead == 0 for own, ahead in queries]))
    assert 0.1 < np.mean(rates) < 1
    assert found.tpir[0.05].mean == pytest.approx(np.mean(rates))


def test_a_small_gallery_is_the_beginning_of_a_large_one():
    embeddings, labels = images()
    alone = open_set(embeddings, labels, registered=[30], references=[2], galleries=3)[0]
    together = open_set(embeddings, labels, registered=[5, 30], references=[2], galleries=3)
    assert [one.registered for one in together] == [5, 30]
    assert together[1] == alone
    # References of the classes that only the large one has are not strangers to the small one.
    assert together[0].strangers == 360 - 60 - 5 * 4


def test_rates_are_none_with_too_few_strangers():
    embeddings, labels = images(classes=20, each=6)
    (found,) = open_set(embeddings, labels, registered=[10], references=[1], galleries=20)
    # 60 strangers hold a rate of 5 % (3 of them, 60 over all galleries), but not of 1 %.
    assert found.strangers == 60
    assert found.tpir[0.01] is found.threshold[0.01] is None
    assert 0 < found.tpir[0.05].mean <= 1
    (found,) = open_set(embeddings, labels, registered=[10], references=[1], galleries=2)
    assert found.tpir[0.05] is None


def test_sizes_that_the_data_cannot_hold_are_left_out():
    embeddings, labels = images(classes=20, each=3)
    found = open_set(embeddings, labels, galleries=2)
    assert [(one.registered, one.references) for one in found] == [(10, 1), (10, 2)]
    # All classes registered leave no stranger.
    assert open_set(embeddings, labels, registered=[20], galleries=2) == ()


def test_a_collapsed_model_identifies_nobody():
    labels = np.repeat(np.arange(12), 30)
    (found,) = open_set(np.ones((360, 4)), labels, registered=[10], references=[1], galleries=10)
    assert found.tpir[0.05] == Spread(0, 0)
    assert found.ranks[1] == found.ranks[5] == Spread(0, 0)


def test_the_expected_rate_is_the_mean_over_all_galleries():
    embeddings, labels = images(classes=8, each=3, noise=1.0)
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    groups = labels // 2
    scores = unit @ unit.T
    given = fpir_at(0.3, embeddings, labels.tolist(), groups, gallery_sizes=(1, 3, 18, 19))
    strangers = groups[:, None] != groups
    assert given[1] == pytest.approx(((scores >= 0.3) & strangers).sum() / strangers.sum())
    random = np.random.default_rng(0)
    drawn = [
        (scores[row, random.choice(np.flatnonzero(strangers[row]), 3, replace=False)] >= 0.3).any()
        for row in range(24)
        for _ in range(2000)
    ]
    assert given[3] == pytest.approx(np.mean(drawn), abs=4 * np.sqrt(0.25 / len(drawn)))
    assert given[18] == pytest.approx(((scores >= 0.3) & strangers).any(axis=1).mean())
    assert given[19] is None


def test_the_lowest_threshold_refuses_ties_together():
    strangers = np.array([0.1, 0.4, 0.4, 0.9])
    assert lowest_threshold(strangers, 0.25) == np.nextafter(0.4, 1)
    assert lowest_threshold(strangers, 0.5) == np.nextafter(0.4, 1)
    assert lowest_threshold(strangers, 0.75) == np.nextafter(0.1, 1)
    assert lowest_threshold(strangers, 0.1) == np.nextafter(0.9, 1)
    assert lowest_threshold(strangers, 1) == 0.1
    with pytest.raises(RunError, match="needs strangers, but there are none"):
        lowest_threshold(np.array([]), 0.1)


def test_of_no_images_nothing_can_be_expected():
    with pytest.raises(RunError, match=r"embeddings must be \[N, D\], not \[0, 8\]"):
        fpir_at(0.5, np.empty((0, 8)), [])
