"""DICOM by hand, for clients and a sink that cost as little as possible: nothing but the standard library."""
