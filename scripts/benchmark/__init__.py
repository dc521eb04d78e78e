"""The service beside the C++ archives, in one run: see docs/performance.md and ``scripts/bench --help``."""
