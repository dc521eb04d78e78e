"""The steps of rules, one module each."""
