"""DICOMweb (PS3.18) at dcm4chee's paths, ``/dcm4chee-arc/aets/{aet}/rs/...``; see docs/dicomweb.md."""
