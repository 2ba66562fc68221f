from __future__ import annotations

import pytest

from zoo.reproduction.comparing import WithinRounding, compare, same


def judged(claimed, found, variants=()):
    (check,) = compare("m.json", {"tpr": claimed}, {"tpr": found}, WithinRounding({"tpr": one} for one in variants))
    return check


def test_a_figure_that_comes_out_needs_no_variant():
    def never():
        pytest.fail("a variant was made")
        yield {}

    (check,) = compare("m.json", {"tpr": 0.9}, {"tpr": 0.9}, WithinRounding(never()))
    assert (check.verdict, check.note) == ("holds", "")


def test_what_rounding_gives_holds_and_nothing_else():
    # A pair at the threshold: of ninety, eighty-one or eighty-two are accepted.
    assert judged(82 / 90, 81 / 90, [81 / 90, 82 / 90]).verdict == "holds"
    assert judged(83 / 90, 81 / 90, [81 / 90, 81 / 90]).verdict == "false"
    # A threshold moves with every variant, also further than the few.
    assert judged(0.5000012, 0.5, [0.5000010, 0.4999995]).verdict == "holds"
    wrong = judged(0.500004, 0.5, [0.5000010, 0.4999995])
    assert (wrong.verdict, wrong.note) == ("false", "rounding gives 0.499999 to 0.500001")


@pytest.mark.parametrize("claimed", [float("nan"), "0.9", True, None, [0.9], {"at": 0.9}])
def test_what_is_no_number_is_not_taken_for_one(claimed):
    assert {check.verdict for check in compare("m", {"a": claimed}, {"a": 0.9}, WithinRounding([{"a": 0.8}]))} == {
        "false"
    }


def test_what_is_only_claimed_is_false_and_what_is_only_found_is_no_claim():
    claimed = {"points": [{"fpr_target": 0.1, "tpr": 1.0}, {"fpr_target": 0.01, "tpr": 1.0}], "more": {}}
    found = {"points": [{"fpr_target": 0.1, "tpr": 1.0, "fpr": 0.1}], "more": {"rank1": 1.0}}
    verdicts = {check.claim: check.verdict for check in compare("m", claimed, found, same)}
    assert verdicts == {
        "points[fpr_target=0.1].fpr_target": "holds",
        "points[fpr_target=0.1].tpr": "holds",
        "points[fpr_target=0.01].fpr_target": "false",
        "points[fpr_target=0.01].tpr": "false",
    }
