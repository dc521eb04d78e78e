"""The web viewer of the site, an OHIF build, served at ``/viewer`` and configured for this service."""
