"""Services that dcm4chee does not have, under our own prefix."""
