"""The bound with which `benchmarks/organisations.py` compares the payloads that were sent."""

from __future__ import annotations

import pytest

from benchmarks.virtual_fleet import fewest_payloads


@pytest.mark.parametrize(
    ("arrivals", "payloads"),
    [
        ([], 0),
        ([(0.0, 1)], 1),
        ([(0.0, 120)], 3),
        ([(1.5, 1), (0.0, 1)], 1),  # the first waits for the second
        ([(0.0, 1), (2.5, 1)], 2),  # but not for so long
        ([(0.0, 1), (1.9, 60)], 2),  # the first payload takes 49 of the sixty along
        ([(0.0, 60), (1.0, 40)], 2),
        ([(0.0, 60), (3.0, 40)], 3),
    ],
)
def test_a_payload_waits_for_as_much_company_as_patience_allows(
    arrivals: list[tuple[float, int]], payloads: int
) -> None:
    assert fewest_payloads(arrivals, 2.0) == payloads
