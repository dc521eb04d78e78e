"""A client in a process of its own: ``python -m scripts.benchmark.raw.client PORT AE-TITLE STUDY [DESTINATION]``.

C-GET of a study, or C-MOVE where a destination is named. It says that it is ready, begins when it reads a line, and
tells when it began and ended, of the clock that all processes share, and the number of objects.
"""

from __future__ import annotations

import sys
import time

from scripts.benchmark.wire import WireError, get, move


def main() -> int:
    """Exit code 1 when the study was not retrieved."""
    port, ae_title, study_uid, *destination = sys.argv[1:]
    print("ready", flush=True)
    sys.stdin.readline()
    began = time.monotonic()
    try:
        count = (
            move(int(port), ae_title, study_uid, *destination) if destination else get(int(port), ae_title, study_uid)
        )
    except (WireError, OSError) as err:
        print(f"{ae_title}: {err}", file=sys.stderr)
        return 1
    print(began, time.monotonic(), count)
    return 0


if __name__ == "__main__":
    sys.exit(main())
