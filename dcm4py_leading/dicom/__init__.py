"""The rim towards the network: the only importer of pynetdicom."""

import logging

from pynetdicom import _config

# pynetdicom logs identifiers, that is patient data, at INFO unless told not to (pydicom/pynetdicom#911), and calls
# expected events such as a refused connection errors. What an operator must know is logged here, once.
_config.LOG_REQUEST_IDENTIFIERS = False
_config.LOG_RESPONSE_IDENTIFIERS = False
_config.LOG_HANDLER_LEVEL = "none"
logging.getLogger("pynetdicom").setLevel(logging.CRITICAL + 1)
