"""Counting by place: what is full, what is over, and that the table has an end."""

from __future__ import annotations

import pytest

from deployer.core.http.rate_limit import RateLimiter


def test_after_the_most_one_waits_until_the_window_is_over() -> None:
    rate_limiter = RateLimiter(2, window=60.0)
    for moment in (100.0, 130.0):
        assert rate_limiter.wait("a", moment) == 0.0
        rate_limiter.count("a", moment)
    assert rate_limiter.wait("a", 131.0) == 29.0
    assert rate_limiter.wait("b", 131.0) == 0.0
    assert rate_limiter.wait("a", 160.0) == 0.0
    assert len(rate_limiter) == 0


@pytest.mark.case("E04")
def test_the_table_is_bounded_and_a_full_one_lets_nobody_in_uncounted_who_is_asked_strictly() -> None:
    rate_limiter = RateLimiter(1, window=60.0, places=3)
    for place in range(5):
        rate_limiter.count(f"place {place}", 100.0 + place)
    assert len(rate_limiter) == 3
    assert rate_limiter.wait("place 2", 105.0) == 57.0
    assert rate_limiter.wait("place 4", 105.0) == 0.0
    assert rate_limiter.wait("place 4", 105.0, strict=True) == 55.0
    assert rate_limiter.wait("place 4", 160.0, strict=True) == 0.0
    assert len(rate_limiter) == 2
    rate_limiter.count("place 4", 160.0)
    assert len(rate_limiter) == 3


def test_a_key_that_is_counted_goes_on_being_counted_in_a_full_table() -> None:
    rate_limiter = RateLimiter(2, places=1)
    rate_limiter.count("a", 1.0)
    rate_limiter.count("a", 2.0)
    assert rate_limiter.wait("a", 3.0) == 58.0
