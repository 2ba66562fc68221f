from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score, roc_curve

from zoo.metrics import bootstrap, pair_sample, pairs
from zoo.metrics.bootstrap import intervals, paired_difference
from zoo.metrics.identification import rank1
from zoo.metrics.verification import verify


def images(classes, each=5, *, seed=0, dimension=16):
    """Images of classes of which some are harder than others."""
    generator = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes), each)
    noise = generator.uniform(0.2, 1.2, classes)[labels, None] * generator.normal(size=(len(labels), dimension))
    return generator.normal(size=(classes, dimension))[labels] + noise, labels


def weighted(embeddings, labels, groups, drawn):
    """Rates and AUC of sklearn, where each pair weighs the product of how often its classes were drawn."""
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    rows, others = np.triu_indices(len(labels), 1)
    scores, genuine = np.round((unit[rows] * unit[others]).sum(axis=1), 9), labels[rows] == labels[others]
    weights = np.where(genuine, drawn[labels[rows]], drawn[labels[rows]] * drawn[labels[others]])
    kept = genuine | (groups[rows] != groups[others])
    fpr, tpr, _ = roc_curve(genuine[kept], scores[kept], sample_weight=weights[kept], drop_intermediate=False)
    rates = [tpr[np.flatnonzero(fpr <= target * (1 + 1e-9))[-1]] for target in (1e-3, 1e-2, 1e-1)]
    return [*rates, roc_auc_score(genuine[kept], scores[kept], sample_weight=weights[kept])]


def replicate(embeddings, labels, groups, drawn):
    model = bootstrap._Weighable.of(embeddings, labels, groups, None, None, 0)
    found = model.figures(np.array([drawn], float))
    return [float(found[name][0]) for name in ("tpr_at_fpr_1e-3", "tpr_at_fpr_1e-2", "tpr_at_fpr_1e-1", "auc")]


@pytest.mark.parametrize("seed", range(4))
def test_a_replicate_is_what_sklearn_finds_of_weighted_pairs(seed):
    embeddings, labels = images(40)
    groups = labels // (1 + seed % 2)
    drawn = np.random.default_rng(seed).multinomial(40, np.full(40, 1 / 40)).astype(float)
    assert replicate(embeddings, labels, groups, drawn) == pytest.approx(
        weighted(embeddings, labels, groups, drawn), abs=1e-6
    )


def test_a_replicate_of_each_class_once_is_the_figure_itself(monkeypatch):
    embeddings, labels = images(60)
    found = verify(embeddings, labels)
    expected = [*(found.at_fpr(target).tpr for target in (1e-3, 1e-2, 1e-1)), found.auc]
    assert replicate(embeddings, labels, labels, np.ones(60)) == pytest.approx(expected, abs=1e-12)
    # Of a sample the rates at which all pairs are kept stay exact, the others nearly so.
    monkeypatch.setattr(pair_sample, "_TOP", 1000)
    monkeypatch.setattr(pair_sample, "_OTHERS", 4000)
    sampled = replicate(embeddings, labels, labels, np.ones(60))
    assert sampled[:2] == pytest.approx(expected[:2], abs=1e-12)
    assert sampled[2:] == pytest.approx(expected[2:], abs=2e-3)
    monkeypatch.setattr(pair_sample, "_GENUINE", 500)
    assert replicate(embeddings, labels, labels, np.ones(60)) == pytest.approx(expected, abs=5e-3)


def test_intervals_hold_the_figures_and_depend_on_the_seed_alone(monkeypatch):
    embeddings, labels = images(50)
    references = np.arange(250) % 5 == 0
    found = intervals(embeddings, labels.tolist(), is_reference=references, replicates=200)
    assert list(found) == ["tpr_at_fpr_1e-3", "tpr_at_fpr_1e-2", "tpr_at_fpr_1e-1", "auc", "rank1"]
    assert found["rank1"].value == rank1(embeddings, labels, references)
    assert all(0 <= one.low < one.value < one.high <= 1 for one in found.values())
    monkeypatch.setattr(pairs, "cores", lambda: 3)
    again = intervals(
        embeddings, labels, is_reference=references, replicates=200, verification=verify(embeddings, labels)
    )
    assert again == found
    assert intervals(embeddings, labels, is_reference=references, replicates=200, seed=1) != found


def test_rank1_of_a_replicate_weighs_the_queries_of_a_class():
    embeddings, labels = images(12)
    references = np.arange(60) % 5 == 0
    model = bootstrap._Weighable.of(embeddings, labels, None, references, None, 0)
    drawn = np.random.default_rng(1).multinomial(12, np.full(12, 1 / 12)).astype(float)
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    right = (unit[~references] @ unit[references].T).argmax(axis=1) == labels[~references]
    expected = np.average(right, weights=drawn[labels[~references]])
    assert model.figures(drawn[None])["rank1"][0] == pytest.approx(expected)


def test_a_model_does_not_differ_from_itself_and_a_better_one_shows():
    embeddings, labels = images(60)
    references = np.arange(300) % 5 == 0
    same = paired_difference(embeddings, 3 * embeddings, labels, is_reference=references, replicates=100)
    assert set(same) == {"tpr_at_fpr_1e-3", "tpr_at_fpr_1e-2", "tpr_at_fpr_1e-1", "auc", "rank1"}
    assert all(abs(one.value) < 1e-3 and not one.shows for one in same.values())
    noise = 0.7 * np.random.default_rng(1).normal(size=embeddings.shape)
    found = paired_difference(embeddings + noise, embeddings, labels, is_reference=references, replicates=300)
    apart = intervals(embeddings, labels, replicates=300)["auc"]
    for one in found.values():
        assert one.value == one.second - one.first > 0
        assert one.low <= one.value <= one.high
    assert found["auc"].shows
    # The same images are hard for both: their difference is known better than either figure.
    assert found["auc"].high - found["auc"].low < 1.5 * (apart.high - apart.low)


@pytest.mark.slow
def test_intervals_cover_the_truth():
    truth = verify(*images(4000, seed=99))
    targets = {"tpr_at_fpr_1e-3": truth.at_fpr(1e-3).tpr, "tpr_at_fpr_1e-2": truth.at_fpr(1e-2).tpr, "auc": truth.auc}
    hits = dict.fromkeys(targets, 0)
    for seed in range(200):
        found = intervals(*images(80, seed=1000 + seed), replicates=400)
        for name, value in targets.items():
            hits[name] += found[name].low <= value <= found[name].high
    # 95 % of 200 are 190, within three standard deviations of 3.1 and a few for the 80 classes.
    assert all(175 <= count <= 200 for count in hits.values()), hits


def test_references_and_labels_may_be_lists():
    embeddings, labels = images(12)
    is_reference = np.arange(len(labels)) % 5 == 0
    wanted = intervals(embeddings, labels, is_reference=is_reference, replicates=20)
    assert intervals(embeddings, labels.tolist(), is_reference=is_reference.tolist(), replicates=20) == wanted
