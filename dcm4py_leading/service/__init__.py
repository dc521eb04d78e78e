"""Use cases: find, retrieve, store; the runtime that they work with."""
