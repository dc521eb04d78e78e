"""``dcm4py-leading send`` and ``echo``: the running service calls a peer."""
