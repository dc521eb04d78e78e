"""From a configuration source to what a process serves with: `site`, `check`, `data`, `build`, and `announce`.

Knows the rooms below it, and nobody that serves or edits.
"""
