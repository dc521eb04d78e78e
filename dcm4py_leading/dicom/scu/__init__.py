"""Services of peers: associations that we open, C-FIND, C-STORE, C-ECHO."""
