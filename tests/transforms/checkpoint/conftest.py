"""What cannot be compiled is an error here, and is not run op by op."""

from __future__ import annotations

import pytest

import wengert as wg


@pytest.fixture(autouse=True)
def checked_passes():
    with wg.config.override(debug_passes=True):
        yield
