"""Archives behind an AE of ours: queries, retrieves and stores by DIMSE."""
