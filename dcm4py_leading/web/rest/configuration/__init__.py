"""The configuration over HTTP, under dcm4chee's paths: devices, AEs, rules and attribute sets."""
