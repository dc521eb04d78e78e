"""Bytes and elements of DICOM data sets: found, read, checked, encoded. Knows pydicom, and nothing of who asks."""
