"""Services that dcm4chee does not have, under a prefix of our own."""
