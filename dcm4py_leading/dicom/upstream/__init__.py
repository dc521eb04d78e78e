"""Archives behind an AE of ours, by DIMSE: asked, retrieved from, stored to."""
