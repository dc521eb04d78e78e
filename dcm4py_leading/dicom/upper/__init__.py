"""The upper layer (PS3.8) and DIMSE messages on it: state machine, PDUs, connection, association."""
