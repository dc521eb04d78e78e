"""Bytes and elements of DICOM data sets: located, read, checked, encoded. Knows pydicom, and none of its callers."""
