"""Compiled code of tests is cached beside pytest's own cache, not in the user's."""

import os
from pathlib import Path

os.environ.setdefault("WENGERT_CACHE_DIR", str(Path(__file__).parent.parent / ".pytest_cache" / "wengert"))
