"""Selection: the best network wins, a tie goes to the cheaper, one that fails is left out and said so."""

import numpy as np
import pytest

from benchmark.cases import Case, Truth
from benchmark.errors import BenchmarkError
from benchmark.metrics import Metric
from benchmark.scores import Scores
from benchmark.selection import Contender, Selection, rank, select
from benchmark.selection.told import doubt_of
from model_library.wire.methods import NetworkRef


def scores(table, fields=8):
    """Method -> mean in dB; all see the same fields, each with a little luck of its own."""
    content = np.random.default_rng(1).normal(0, 3, fields)
    values = {}
    for number, (key, mean) in enumerate(table.items()):
        luck = np.random.default_rng([2, number]).normal(0, 0.05, fields)
        values[key] = (
            (None,) * fields if mean is None else tuple((mean + content + luck - luck.mean()).tolist())
        )
    return Scores(
        metric=Metric.PSNR_REPEAT,
        fields=tuple(f"f{number}" for number in range(fields)),
        names=tuple(f"crop {number}" for number in range(fields)),
        refs={key: NetworkRef(id=key, version="1", weights_sha256="0" * 64) for key in table},
        values=values,
        failures={key: "found NaN" for key, mean in table.items() if mean is None},
    )


def test_the_highest_mean_wins_and_the_next_is_second():
    chosen = rank(scores({"a": 28.0, "b": 30.0, "c": 29.0}), {"a": 1, "b": 3, "c": 2})
    assert (chosen.winner, chosen.second) == ("b", "c")
    assert [one.key for one in chosen.ranking] == ["b", "c", "a"]
    assert chosen.ranking[0].behind_best is None
    low, high = chosen.ranking[1].behind_best.ci95
    assert low < -1 + 1e-6 < high < 0
    assert "b has the highest mean" in chosen.reason


def test_a_tie_goes_to_the_cheaper_and_is_called_a_tie():
    chosen = rank(
        scores({"dear": 30.005, "cheap": 30.0, "poor": 27.0}), {"dear": 500, "cheap": 100, "poor": 1}
    )
    assert (chosen.winner, chosen.second) == ("cheap", "dear")
    assert [one.tied for one in chosen.ranking] == [True, True, False]
    assert "cannot be told from dear" in chosen.reason


def test_a_wide_interval_alone_does_not_make_a_tie():
    chosen = rank(scores({"good": 30.0, "cheap": 29.0}, fields=2), {"good": 500, "cheap": 1})
    assert chosen.winner == "good"


def test_one_field_ranks_by_the_mean_without_interval():
    chosen = rank(scores({"a": 28.0, "b": 30.0}, fields=1), {"a": 1, "b": 3})
    assert chosen.winner == "b"
    assert chosen.ranking[1].behind_best is None
    assert not chosen.ranking[1].tied


def test_a_network_without_a_finite_score_is_left_out_with_its_reason():
    chosen = rank(scores({"a": 28.0, "broken": None}), {"a": 1, "broken": 1})
    assert chosen.winner == "a"
    assert chosen.second is None
    assert chosen.excluded == {"broken": "found NaN"}


@pytest.mark.parametrize(("value", "told"), [(0.0, "nothing tells them apart"), (0.4, None)])
def test_where_no_result_is_plausible_a_choice_is_said_to_rest_on_nothing(value, told):
    values = dict.fromkeys("ab", (value,) * 8)
    found = scores(dict.fromkeys("ab", 0.0)).model_copy(
        update={"metric": Metric.PLAUSIBILITY, "values": values}
    )
    doubt = doubt_of(rank(found, {"a": 1, "b": 2}), ())
    assert doubt is None if told is None else told in doubt


def test_none_left_is_refused():
    with pytest.raises(BenchmarkError, match="found NaN"):
        rank(scores({"broken": None}), {"broken": 1})
    with pytest.raises(BenchmarkError, match="found none"):
        select([], [])


def test_the_record_survives_json():
    chosen = rank(scores({"a": 28.0, "b": 30.0, "broken": None}), {"a": 1, "b": 3, "broken": 1}, seed=4)
    assert Selection.model_validate_json(chosen.model_dump_json()) == chosen
    assert chosen.scores.names[0] == "crop 0"
    assert chosen.seed == 4


class Shifted:
    scale = 1

    def __init__(self, network_id, shift):
        self.ref = NetworkRef(id=network_id, version="1", weights_sha256="0" * 64)
        self.shift = np.float32(shift)

    def __call__(self, pixels):
        return pixels + self.shift


def test_every_contender_sees_the_same_cases():
    rng = np.random.default_rng(0)
    cases = []
    for number in range(4):
        truth = rng.uniform(0, 100, (32, 32)).astype(np.float32)
        cases.append(
            Case(
                f"f{number}",
                str(number),
                truth + rng.normal(0, 1, (32, 32)).astype(np.float32),
                Truth.of(truth),
            )
        )
    chosen = select([Contender(Shifted("far", 9), 1), Contender(Shifted("near", 1), 5)], cases, seed=1)
    assert (chosen.winner, chosen.second) == ("near@1", "far@1")
    assert chosen.metric is Metric.PSNR
