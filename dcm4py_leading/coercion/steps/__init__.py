"""Steps of rules, one module for each."""
