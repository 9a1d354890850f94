"""Every reply is examined before it counts: what is wrong with it is said in words."""

import json
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.federation.fleet import Reply
from coordinator.federation.validation import Accepted, UpdateRefused, examine, norm, one_line

from .sites import WEIGHTS, plan_of, report_of, update_of

PLAN = plan_of()
ADAPTATION = PLAN.adaptation(2)


def reply(**changes: object) -> Reply:
    update = update_of(WEIGHTS, 1) | dict(changes.pop("update", {}))
    return Reply("m", update, report_of(ADAPTATION, **changes))


def told(text: str) -> Reply:
    return Reply("m", update_of(WEIGHTS, 1), text)


def grown(factor: float) -> Reply:
    """An update of so many times the norm that is allowed."""
    update = update_of(WEIGHTS, 1)
    scale = factor * PLAN.clip_norm * norm(WEIGHTS) / norm(update)
    return reply(update={key: np.asarray(scale * array, np.float32) for key, array in update.items()})


def look(found: Reply) -> Accepted:
    return examine(found, WEIGHTS, ADAPTATION, PLAN)


def test_a_proper_update_is_accepted_as_it_is():
    accepted = look(reply())
    assert accepted.report.examples == 8
    assert (accepted.shrink, accepted.clipped) == (1.0, False)


def without_head() -> Reply:
    return Reply("m", {"body.weight": update_of(WEIGHTS, 1)["body.weight"]}, report_of(ADAPTATION))


REFUSED: dict[str, tuple[Callable[[], Reply], str]] = {
    "NaN": (
        lambda: reply(update={"head.bias": np.array(np.nan, np.float32)}),
        "its update has NaN or infinity in head.bias",
    ),
    "infinity": (
        lambda: reply(update={"body.weight": np.full((4, 1, 3, 3), -np.inf, np.float32)}),
        "its update has NaN or infinity in body.weight",
    ),
    "shape": (
        lambda: reply(update={"body.weight": np.zeros((4, 9), np.float32)}),
        r"its update has body.weight of shape \(4, 9\); expected \(4, 1, 3, 3\)",
    ),
    "dtype": (
        lambda: reply(update={"head.bias": np.array(0.0)}),
        "its update has head.bias in float64; expected float32",
    ),
    "byte order": (
        lambda: reply(update={"head.bias": np.array(0.0, ">f4")}),
        "head.bias in >f4; expected float32",
    ),
    "other keys": (
        lambda: reply(update={"evil": np.zeros(1, np.float32)}),
        r"other keys: 0 missing, 1 unknown \(evil\)",
    ),
    "missing keys": (without_head, r"other keys: 1 missing \(head.bias\), 0 unknown"),
    "no keys": (lambda: Reply("m", {}, report_of(ADAPTATION)), "2 missing"),
    "a weight of 1e12": (
        lambda: reply(examples=10**12),
        "states 1000000000000 examples; expected at most 10000",
    ),
    "no examples": (lambda: reply(examples=0), "its report does not read: examples: .*greater than"),
    "negative examples": (lambda: reply(examples=-5), "its report does not read: examples"),
    "half an example": (lambda: reply(examples=0.5), "its report does not read: examples"),
    "no fields": (lambda: reply(fields=()), "names 0 fields of view"),
    "a boundless field": (lambda: reply(fields=("x" * 501,)), "of at most 500 characters"),
    "another round": (
        lambda: reply(number=1),
        "answered for round 1 of denoise-1; expected round 2 of denoise-1",
    ),
    "another federation": (lambda: reply(federation_id="other"), "answered for round 2 of other"),
    "NaN in the report": (
        lambda: told(report_of(ADAPTATION).replace("1.5", "NaN")),
        "its report does not read: train_s",
    ),
    "an unknown word in the report": (
        lambda: told(json.dumps(json.loads(report_of(ADAPTATION)) | {"trust": "me"})),
        "its report does not read: trust",
    ),
    "no JSON": (lambda: told("\x00{"), "its report does not read: the whole"),
    "an error": (lambda: Reply("m", error="no frames\nto train on"), "no update: no frames to train on"),
    "nothing": (lambda: Reply("m"), "no update: it answered without one"),
    "an update beyond belief": (lambda: grown(101), "norm of .*; expected at most"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_with_its_cause(case: str):
    make, cause = REFUSED[case]
    with pytest.raises(UpdateRefused, match=cause):
        look(make())


@given(
    st.sampled_from(sorted(WEIGHTS)),
    st.integers(0, 35),
    st.sampled_from([np.nan, np.inf, -np.inf, np.float32(3.4e38)]),
)
def test_no_number_out_of_bounds_hides_anywhere(key: str, place: int, value: float):
    update = update_of(WEIGHTS, 1)
    update[key].reshape(-1)[place % update[key].size] = value
    with pytest.raises(UpdateRefused):
        look(Reply("m", update, report_of(ADAPTATION)))


def test_an_update_that_is_too_large_is_brought_back_to_the_bound():
    large = grown(20)
    accepted = look(large)
    assert large.update is not None
    assert accepted.clipped
    assert accepted.shrink * norm(large.update) == pytest.approx(PLAN.clip_norm * norm(WEIGHTS))


def test_weights_that_are_all_zero_have_an_absolute_bound():
    zeros = {key: np.zeros_like(array) for key, array in WEIGHTS.items()}
    assert examine(reply(), zeros, ADAPTATION, PLAN).shrink == 1.0


def test_what_a_site_says_stays_on_one_line_and_within_bounds():
    assert one_line("a\r\n\x1b[31mb\u202ec  d") == "a [31mb c d"
    assert len(one_line("x" * 10_000)) < 310
