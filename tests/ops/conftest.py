"""Nearly every case here compiles and runs a program under sanitizers: the first of each test is fast enough."""

from collections import Counter

import pytest

FAST_CASES = 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark all further cases of a parametrized test as slow."""
    seen: Counter[str] = Counter()
    for item in items:
        if "/ops/" in item.path.as_posix() and hasattr(item, "callspec"):
            test = item.nodeid.split("[")[0]
            seen[test] += 1
            if seen[test] > FAST_CASES:
                item.add_marker(pytest.mark.slow)
