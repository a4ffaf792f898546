"""What of a backend's statistics may go into a record."""

import pytest

from adapters.errors import ProtocolViolationError
from harness.trial import plain_statistics


def nested(levels):
    value = 1
    for _ in range(levels):
        value = [value]
    return {"value": value}


def test_plain_values_pass_as_they_are():
    statistics = {
        "keyframes": 3,
        "stages": {"track": {"median": 1.5}},
        "names": ["a", None],
        "deep": nested(40),
    }
    assert plain_statistics(statistics) is statistics


@pytest.mark.parametrize(
    ("statistics", "reason"),
    [
        ({"value": float("nan")}, "no plain values"),
        ({"value": object()}, "no plain values"),
        ({"value": "x" * 2_000_000}, "take 20000.. characters"),
        (nested(60), "nested more than 50 levels"),
        (nested(5000), "no plain values|nested"),
    ],
)
def test_what_no_record_should_hold_is_refused(statistics, reason):
    with pytest.raises(ProtocolViolationError, match=reason):
        plain_statistics(statistics)
