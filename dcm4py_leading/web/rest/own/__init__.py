"""Services of our own, below ``/dcm4py-leading``: what dcm4chee does not have."""
