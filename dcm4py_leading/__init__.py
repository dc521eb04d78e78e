"""DICOM query/retrieve service that delivers the attributes of a leading archive."""

__version__ = "0.2.0"
