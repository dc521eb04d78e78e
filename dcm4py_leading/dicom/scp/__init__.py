"""Services to peers: listeners, associations that peers open, Verification, Query, Retrieve, Storage."""
