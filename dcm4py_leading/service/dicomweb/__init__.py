"""DICOMweb: what is asked over HTTP of the archive that an AE presents, as values that pass between processes."""
