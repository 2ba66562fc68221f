from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn.metrics import roc_auc_score, roc_curve

from zoo.metrics import pairs as pairs_module
from zoo.metrics.verification import ReportedPoint, verify
from zoo_core.errors import RunError


def exact_pairs(embeddings, labels):
    """All pairs by brute force in float64."""
    unit = embeddings.astype(np.float64)
    unit = unit / np.linalg.norm(unit, axis=1, keepdims=True)
    rows, others = np.triu_indices(len(unit), 1)
    return (unit[rows] * unit[others]).sum(axis=1), labels[rows] == labels[others]


def pairs(embeddings, labels):
    """All pairs, with equal scores made equal to the last bit."""
    scores, genuine = exact_pairs(embeddings, labels)
    return np.round(scores, 9), genuine


def clusters(classes, each, noise, *, dimension=16, seed=0):
    generator = np.random.default_rng(seed)
    centres = np.repeat(generator.normal(size=(classes, dimension)), each, axis=0)
    embeddings = centres + noise * generator.normal(size=centres.shape)
    return embeddings.astype(np.float32), np.repeat(np.arange(classes), each)


def assert_agrees_with_sklearn(embeddings, labels, *, auc_within=1e-12):
    (exact, _), (scores, genuine) = exact_pairs(embeddings, labels), pairs(embeddings, labels)
    found = verify(embeddings, labels)
    assert (found.images, found.classes) == (len(labels), len(np.unique(labels)))
    assert {counts.dtype for counts in (found.cells, found.genuine, found.impostor)} == {np.dtype(np.int64)}
    assert found.genuine_pairs == genuine.sum()
    assert found.impostor_pairs == (~genuine).sum()
    assert found.auc == pytest.approx(roc_auc_score(genuine, scores), abs=auc_within)
    fpr, tpr, _ = roc_curve(genuine, scores, drop_intermediate=False)
    for point in found.operating_points:
        last = np.flatnonzero(fpr <= point.fpr_target)[-1]
        assert point.fpr == pytest.approx(fpr[last], abs=1e-15)
        assert point.tpr == pytest.approx(tpr[last], abs=1e-15)
        # The threshold itself does what it says to the scores themselves: a cell may be narrower than 1e-9.
        accepted = exact >= point.threshold
        assert accepted[~genuine].mean() == point.fpr
        assert accepted[genuine].mean() == point.tpr


@pytest.mark.parametrize("noise", [0.3, 1.0, 4.0])
def test_rates_and_area_are_those_of_sklearn(noise):
    # Scores in one cell count as ties, so that the area is off by less than the share of such pairs.
    assert_agrees_with_sklearn(*clusters(60, 6, noise), auc_within=1e-6)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_ties_are_counted_as_sklearn_counts_them(data):
    count = data.draw(st.integers(3, 30))
    embeddings = data.draw(arrays.arrays(np.float32, (count, 3), elements=st.integers(-2, 2)))
    labels = data.draw(arrays.arrays(np.int64, count, elements=st.integers(0, 4)))
    assume((np.abs(embeddings).max(axis=1) > 0).all())
    assume(1 < len(np.unique(labels)) < count)
    assert_agrees_with_sklearn(embeddings, labels)


def test_scores_that_lie_close_together_are_counted_as_sklearn_counts_them():
    assert_agrees_with_sklearn(np.array([[-1, -2, -2], [-2, -2, -2], [-2, -2, -2]], np.float32), np.array([0, 1, 1]))


def test_blocks_change_nothing(monkeypatch):
    embeddings, labels = clusters(40, 7, 1.0)
    whole = verify(embeddings, labels, labels // 2)
    for rows, columns, chunk in ((16, 48, 100), (7, 13, 1), (300, 3, 40)):
        monkeypatch.setattr(pairs_module, "_TILE_ROWS", rows)
        monkeypatch.setattr(pairs_module, "_TILE_COLUMNS", columns)
        monkeypatch.setattr(pairs_module, "_CHUNK_SCORES", chunk)
        for workers in (1, 3):
            monkeypatch.setattr(pairs_module, "cores", lambda workers=workers: workers)
            cut = verify(embeddings, labels, labels // 2)
            for name in ("cells", "genuine", "impostor", "look_alike"):
                np.testing.assert_array_equal(getattr(cut, name), getattr(whole, name))
            for name in ("impostor", "genuine", "look_alike"):
                assert getattr(cut.worst, name) == getattr(whole.worst, name)


@pytest.mark.parametrize(("count", "classes"), [(300, 25), (2600, 40), (9, 3), (1500, 1200)])
def test_the_worst_pairs_are_those_of_a_full_search(count, classes):
    generator = np.random.default_rng(0)
    embeddings, labels = generator.normal(size=(count, 6)), generator.integers(0, classes, count)
    groups = labels // 2
    found = verify(embeddings, labels, groups).worst
    scores, genuine = exact_pairs(embeddings, labels)
    rows, others = np.triu_indices(count, 1)
    alike = ~genuine & (groups[rows] == groups[others])
    keys = np.minimum(labels[rows], labels[others]) * classes + np.maximum(labels[rows], labels[others])
    for kind, chosen, sign in (("impostor", ~genuine & ~alike, -1), ("look_alike", alike, -1), ("genuine", genuine, 1)):
        order = np.argsort(sign * scores[chosen], kind="stable")
        _, first = np.unique(keys[chosen][order], return_index=True)
        expected = scores[chosen][order][np.sort(first)[:12]]
        given = getattr(found, kind)
        assert [pair.cosine for pair in given] == pytest.approx(expected.tolist(), abs=1e-6)
        for pair in given:
            same, kin = labels[pair.first] == labels[pair.second], groups[pair.first] == groups[pair.second]
            assert (same, kin) == (kind == "genuine", kind != "impostor")
            assert pair.first < pair.second


def test_labels_and_groups_may_be_lists():
    embeddings, labels = clusters(10, 4, 1.0)
    given = verify(embeddings, labels.tolist(), (labels // 2).tolist())
    expected = verify(embeddings, labels, labels // 2)
    np.testing.assert_array_equal(given.impostor, expected.impostor)


def test_look_alikes_are_counted_apart_from_strangers():
    embeddings, labels = clusters(24, 5, 1.0)
    groups = labels // 3
    (scores, genuine), (rows, others) = exact_pairs(embeddings, labels), np.triu_indices(len(labels), 1)
    alike = ~genuine & (groups[rows] == groups[others])
    found = verify(embeddings, labels, groups)
    assert found.look_alike_pairs == alike.sum()
    assert found.look_alikes.look_alike_pairs == 0
    assert found.look_alikes.look_alikes is None
    assert verify(embeddings, labels).look_alikes is None
    for curve, chosen in ((found, ~alike), (found.look_alikes, genuine | alike)):
        assert (curve.genuine_pairs, curve.impostor_pairs) == (genuine.sum(), chosen.sum() - genuine.sum())
        assert curve.auc == pytest.approx(roc_auc_score(genuine[chosen], scores[chosen]), abs=1e-6)
        point = curve.at_fpr(0.01)
        assert (scores[chosen & ~genuine] >= point.threshold).mean() == point.fpr


def test_the_threshold_is_the_last_not_above_the_target():
    # Ten impostor pairs: the rates go 0, 0.1, 0.2 ...; at a target of 0.1 one impostor pair may pass.
    angles = np.array([0.0, 0.3, 1.0, 1.6, 2.3])
    embeddings = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    found = verify(np.concatenate([embeddings, embeddings[:1]]), np.array([0, 1, 2, 3, 4, 0]))
    assert found.impostor_pairs == 14
    point = found.at_fpr(0.1)
    # Pairs of 0.3 with both 0.0 tie: together they are 2 of 14, above a tenth.
    assert point.fpr == 0
    assert np.cos(0.3) < point.threshold < np.cos(0.3) + 1.2e-6
    assert found.at_fpr(0.15).fpr == pytest.approx(2 / 14)


def test_too_few_impostors_for_a_target_put_the_threshold_above_them_all():
    embeddings, labels = clusters(5, 4, 0.2)
    scores, genuine = pairs(embeddings, labels)
    point = verify(embeddings, labels).at_fpr(1e-5)
    assert point.fpr == 0
    assert scores[~genuine].max() < point.threshold < scores[~genuine].max() + 1.2e-6


def test_a_genuine_pair_above_all_impostors_is_accepted_at_rate_zero():
    found = verify(np.array([[1, 0], [1, 0], [0, 1]], np.float32), np.array([0, 0, 1]))
    assert [(point.fpr, point.tpr) for point in found.operating_points] == [(0, 1)] * 5


@pytest.mark.parametrize("noise", [0.3, 1.0, 4.0])
def test_the_equal_error_rate_lies_where_the_curve_of_sklearn_crosses(noise):
    embeddings, labels = clusters(40, 6, noise)
    scores, genuine = pairs(embeddings, labels)
    fpr, tpr, _ = roc_curve(genuine, scores, drop_intermediate=False)
    crossing = np.interp(0, fpr - (1 - tpr), fpr)
    assert verify(embeddings, labels).eer == pytest.approx(crossing, abs=1e-4)


def test_the_equal_error_rate_of_ties_lies_between_them():
    # One tie of everything: accepting it or not gives (1, 1) or (0, 0), halfway an error of a half.
    assert verify(np.ones((4, 2), np.float32), [0, 0, 1, 1]).eer == pytest.approx(0.5)
    assert verify(np.array([[1, 0], [1, 0], [0, 1]], np.float32), [0, 0, 1]).eer == 0


def test_a_rate_is_reported_from_ten_false_positives_on():
    embeddings, labels = clusters(20, 5, 1.0)
    found = verify(embeddings, labels)
    assert found.impostor_pairs == 4750
    assert found.report(1e-3) == ReportedPoint(1e-3, 4750)
    point = found.report(10 / 4750, (0.1, 0.9))
    assert (point.fpr, point.interval) == (10 / 4750, (0.1, 0.9))
    assert (point.tpr, point.threshold) == (found.at_fpr(10 / 4750).tpr, found.at_fpr(10 / 4750).threshold)


def test_embeddings_may_cancel_out():
    assert_agrees_with_sklearn(np.array([[1, 0], [-1, 0], [1, 0], [-1, 0]], np.float32), np.array([0, 1, 0, 1]))


def test_an_impostor_that_equals_a_genuine_image_leaves_nothing_to_accept():
    embeddings = np.array([[1, 0], [1, 0], [1, 0]], np.float32)
    found = verify(embeddings, np.array([0, 0, 1]))
    assert found.auc == 0.5
    assert found.at_fpr(0.1).tpr == 0
    assert found.at_fpr(0.1).threshold > 1


def test_scores_of_a_collapsed_model_are_told_apart():
    # float64, since float32 would round these differences away.
    embeddings, labels = clusters(30, 5, 0.5)
    narrow = 1.0 + 1e-5 * embeddings.astype(np.float64)
    scores, genuine = pairs(narrow, labels)
    unit = narrow / np.linalg.norm(narrow, axis=1, keepdims=True)
    rows, others = np.triu_indices(len(unit), 1)
    distances = np.linalg.norm(unit[rows] - unit[others], axis=1)
    assert scores.min() > 1 - 1e-8
    assert verify(narrow, labels).auc == pytest.approx(roc_auc_score(genuine, -distances), abs=1e-4)


@pytest.mark.parametrize(("share", "width"), [(0.9, 2.0**-31), (1.005, 2.0**-30)])
def test_cells_are_as_narrow_as_the_scores_lie_close_together(share, width):
    # Two directions whose cosine is so much below 1; there are 2**21 cells, and a hundredth of them to spare.
    span = share * 2.0**-10
    angle = np.arccos(1 - span) / 2
    directions = np.array([[np.cos(angle), np.sin(angle)], [np.cos(angle), -np.sin(angle)]])
    found = verify(np.concatenate([directions, directions]), np.array([0, 1, 0, 1]))
    assert found.width == width
    np.testing.assert_allclose(found.scores, [1, 1 - span], rtol=0, atol=width)
    assert (found.genuine.tolist(), found.impostor.tolist()) == ([2, 0], [0, 4])


def test_length_does_not_count():
    embeddings, labels = clusters(20, 4, 1.0)
    # Squares of the shortest vanish, those of the longest overflow.
    lengths = 10.0 ** np.random.default_rng(1).uniform(-300, 300, (len(labels), 1))
    first, second = verify(embeddings, labels), verify(embeddings.astype(np.float64) * lengths, labels)
    assert first.auc == pytest.approx(second.auc, abs=1e-6)


def test_the_roc_curve_begins_above_all_impostors_and_ends_with_all_accepted():
    embeddings, labels = clusters(20, 4, 1.0)
    found = verify(embeddings, labels)
    fpr, tpr, thresholds = found.roc()
    scores, genuine = pairs(embeddings, labels)
    assert (fpr[0], fpr[-1], tpr[-1]) == (0, 1, 1)
    assert (np.diff(fpr) > 0).all()
    assert (np.diff(tpr) >= 0).all()
    assert (np.diff(thresholds) < 0).all()
    # The last one is the lower edge of the cell of the lowest score.
    assert scores.min() - found.width - 1e-9 <= thresholds[-1] <= scores.min()
    edges = np.linspace(-1, 1, 21)
    for counts, wanted in zip(found.histogram(edges), (scores[genuine], scores[~genuine]), strict=True):
        np.testing.assert_array_equal(counts, np.histogram(wanted, edges)[0])
        assert counts.dtype == np.int64


MORE_CAPTURES = "add captures of each image with data.valid_captures=8"


@pytest.mark.parametrize(
    ("embeddings", "labels", "message"),
    [
        (
            [[1, 0], [np.nan, 0], [0, np.inf]],
            [0, 0, 1],
            (
                "2 of 3 embeddings are not finite (NaN or infinity); "
                "the model has diverged: lower the learning rate, or clip gradients"
            ),
        ),
        (
            [[1, 0], [0, 0], [0, 1]],
            [0, 0, 1],
            (
                "1 of 3 embeddings are all zeros: they have no direction; "
                "the model has collapsed: lower the learning rate, or train from other weights"
            ),
        ),
        (
            [[], [], []],
            [0, 0, 1],
            (
                "3 of 3 embeddings are all zeros: they have no direction; "
                "the model has collapsed: lower the learning rate, or train from other weights"
            ),
        ),
        (
            [[1, 0], [0, 1]],
            [0, 0],
            (
                "verification needs at least two classes, but the 2 images have 1; "
                "validate on a data set with more classes"
            ),
        ),
        (
            [[1, 0], [0, 1]],
            [0, 1],
            "verification needs pairs of the same class, but each of the 2 classes has one image; " + MORE_CAPTURES,
        ),
        ([1, 0], [0, 1], "embeddings must be [N, D], not [2]"),
        ([[1, 0], [0, 1]], [0, 1, 2], "there are 2 embeddings, but labels of shape [3]"),
        ([[1, 0], [0, 1]], [0.5, 1], "labels must be whole numbers, not float64"),
    ],
)
def test_what_cannot_be_verified_is_said(embeddings, labels, message):
    with pytest.raises(RunError) as caught:
        verify(np.array(embeddings, np.float32), np.array(labels))
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ([0, 1, 2], "class 0 is in two groups of look-alikes; a class has one group"),
        ([0, 0], "there are 3 embeddings, but groups of shape [2]"),
        # Cut off, both were group 0.
        ([0.2, 0.2, 0.7], "groups must be whole numbers, not float64"),
        (
            [5, 5, 5],
            (
                "verification needs pairs of strangers, but all 2 classes are look-alikes of each other; "
                "validate on a data set with other classes too"
            ),
        ),
    ],
)
def test_groups_that_cannot_be_used_are_said(groups, message):
    with pytest.raises(RunError) as caught:
        verify(np.eye(3, dtype=np.float32), [0, 0, 1], groups)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("embeddings", "labels", "message"),
    [
        ([[1, 0], [0]], [0, 1], "embeddings are no array: their rows differ in length"),
        ([[1j, 0], [0, 1]], [0, 1], "embeddings must be real numbers, not complex128"),
        ([["a", "b"]], [0], "embeddings must be real numbers, not <U1"),
        ([], [], "embeddings must be [N, D], not [0]"),
        ([[1, 0], [0, 1]], [[0], [1, 2]], "labels are no array: their rows differ in length"),
    ],
)
def test_what_is_no_array_of_numbers_is_said(embeddings, labels, message):
    with pytest.raises(RunError) as caught:
        verify(embeddings, labels)
    assert str(caught.value) == message


def test_lists_will_do():
    embeddings, labels = clusters(4, 3, 0.5)
    assert verify(embeddings.tolist(), labels.tolist()).auc == verify(embeddings, labels).auc
