"""Branch coverage of a finished run: the total, and the ten modules that are covered least."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

LEAST = 10


def report(measured: dict[str, Any]) -> list[str]:
    """Lines for a report that ``coverage json`` has written."""
    files = {path: one["summary"] for path, one in measured["files"].items() if one["summary"]["num_statements"]}
    least = sorted(files, key=lambda path: (files[path]["percent_covered"], path))[:LEAST]
    lines = [f"{files[path]['percent_covered']:6.1f} %  {path}" for path in least]
    return [*lines, f"{measured['totals']['percent_covered']:6.1f} %  of all lines and branches"]


if __name__ == "__main__":
    print(*report(json.loads(Path(sys.argv[1]).read_text("utf-8"))), sep="\n")
