"""The DICOM JSON Model (PS3.18 F): data sets and elements as JSON, and back."""
