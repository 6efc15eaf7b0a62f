"""Trees ask what brute force would ask, add up to what training saw, and do not depend on the order of adding."""

import dataclasses

import numpy as np
import pytest

from fraud_ml.models.grow_trees import Growth, Trees
from fraud_ml.params import BoostedTreesParams

PARAMS = BoostedTreesParams(
    members=1,
    trees=3,
    depth=2,
    learning_rate=0.3,
    column_share=1.0,
    row_share=1.0,
    l2=1.0,
    min_hessian=0.5,
    bins=8,
    crosses=0,
)
PRIOR = -2.0


def claims(rows: int = 600, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return conditions, of which the second is the first turned round, and labels that need two of them at once."""
    rng = np.random.default_rng(seed)
    said = rng.random((rows, 5)) < 0.5
    said[:, 1] = ~said[:, 0]
    fraud = rng.random(rows) < np.where(said[:, 2] & said[:, 3], 0.6, 0.05)
    return said, fraud.astype(np.int8)


def grow(said: np.ndarray, labels: np.ndarray, *, at_once: int = 32, seed: int = 0, **changed: float) -> Growth:
    params = PARAMS.model_copy(update=changed)
    growth = Growth(said, labels, np.arange(said.shape[1]), PRIOR, params, seed, at_once)
    for _ in range(params.trees):
        growth.grow()
    return growth


def walk(trees: Trees, said: np.ndarray) -> np.ndarray:
    """Return (members, n_claims) log-odds, one claim and one tree after the other."""
    found = np.full((len(trees.asked), len(said)), PRIOR)
    for member, (asked, leaves) in enumerate(zip(trees.asked, trees.leaves, strict=True)):
        for row, answers in enumerate(np.c_[said, np.zeros(len(said), bool)]):
            for tree, values in zip(asked, leaves, strict=True):
                node = 0
                while node < len(tree):
                    node = 2 * node + 1 + int(answers[tree[node]])
                found[member, row] += values[node - len(tree)]
    return found


def gain(said: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return (n_conditions,) second-order gains of a first split, sum by sum."""
    probability = 1 / (1 + np.exp(-PRIOR))
    slope, curve = probability - labels, np.full(len(labels), probability * (1 - probability))

    def score(rows: np.ndarray) -> float:
        return float(slope[rows].sum() ** 2 / (curve[rows].sum() + PARAMS.l2))

    every = np.ones(len(labels), bool)
    return np.array([score(said[:, c]) + score(~said[:, c]) - score(every) for c in range(said.shape[1])])


def test_the_first_question_is_the_one_of_the_highest_gain() -> None:
    said, labels = claims()
    assert grow(said, labels).trees().asked[0, 0, 0] == np.argmax(gain(said, labels))


def test_both_halves_of_a_pair_are_found() -> None:
    asked = grow(*claims(), trees=1).trees().asked[0, 0]
    assert {int(asked[0]), int(asked[2])} == {2, 3}  # the root, and its right child: where the first was answered yes


def test_a_leaf_is_the_newton_step_of_its_claims() -> None:
    said, labels = claims()
    trees = grow(said, labels, trees=1, depth=1).trees()
    probability = 1 / (1 + np.exp(-PRIOR))
    right = said[:, trees.asked[0, 0, 0]]
    steps = [
        -0.3 * (probability - labels[side]).sum() / (side.sum() * probability * (1 - probability) + PARAMS.l2)
        for side in (~right, right)
    ]
    np.testing.assert_allclose(trees.leaves[0, 0], steps, atol=1e-4)


def test_the_margins_of_training_are_exactly_what_the_trees_add_up_to() -> None:
    said, labels = claims()
    growth = grow(said, labels, members=2, row_share=0.7, column_share=0.6, trees=8)
    np.testing.assert_array_equal(growth.margins.numpy()[:, : len(said)], walk(growth.trees(), said))


@pytest.mark.parametrize("at_once", [1, 2])
def test_claims_in_another_order_and_in_other_blocks_grow_the_same_trees(at_once: int) -> None:
    said, labels = claims()
    turned = np.random.default_rng(1).permutation(len(labels))
    first = grow(said, labels, trees=30, depth=4).trees()
    other = grow(said[turned], labels[turned], trees=30, depth=4, at_once=at_once).trees()
    for ours, theirs in zip(dataclasses.astuple(first), dataclasses.astuple(other), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_side_with_too_few_claims_is_never_split_off() -> None:
    said, labels = claims()
    said[:, 4] = False
    said[:3, 4], labels[:3] = True, 1
    assert 4 in grow(said, labels, min_hessian=0.1).trees().asked
    assert 4 not in grow(said, labels, min_hessian=1.0).trees().asked


def test_where_nothing_can_be_asked_the_tree_says_no_and_adds_the_mean_step() -> None:
    said = np.zeros((50, 2), bool)
    labels = np.resize([0, 0, 0, 1], 50).astype(np.int8)
    growth = grow(said, labels, trees=1)
    assert (growth.trees().asked == 2).all()
    assert len(np.unique(growth.margins.numpy()[0, :50])) == 1


def test_members_and_seeds_draw_differently() -> None:
    said, labels = claims()
    trees = grow(said, labels, members=2, column_share=0.5, seed=1).trees()
    assert (trees.asked[0] != trees.asked[1]).any()
    assert (trees.asked != grow(said, labels, members=2, column_share=0.5, seed=2).trees().asked).any()


def test_a_tree_asks_its_drawn_columns_only() -> None:
    said, labels = claims()
    for tree in grow(said, labels, column_share=0.2, trees=20, depth=3).trees().asked[0]:
        assert len(set(tree.tolist()) - {5}) <= 1


def test_going_on_from_grown_trees_ends_where_growing_through_ends() -> None:
    said, labels = claims()
    drawn = {"members": 2, "row_share": 0.7, "column_share": 0.6}
    through = grow(said, labels, trees=8, **drawn)
    other = grow(said, labels, trees=0, **drawn)
    other.go_on_from(through.trees().first(5))
    for _ in range(3):
        other.grow()
    np.testing.assert_array_equal(other.margins.numpy(), through.margins.numpy())
    np.testing.assert_array_equal(other.trees().asked, through.trees().asked)
    np.testing.assert_array_equal(other.trees().leaves, through.trees().leaves)
