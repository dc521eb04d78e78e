"""``app-config.js`` of OHIF: the DICOMweb service of each AE as a data source."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from dcm4py_leading.web.http.answers import VIEWER

_NAMESPACE = "@ohif/extension-default.dataSourcesModule.dicomweb"
# The name of the patient is not in OHIF's overlay: here it is, since that is what leading archives are asked for.
_TEMPLATE = """window.config = Object.assign(%s, {
  customizationService: [
    { 'ohif.tours': { $set: [] } },
    { 'viewportOverlay.topLeft': { $push: [{
      id: 'PatientName', inheritsFrom: 'ohif.overlayItem', label: '', title: 'Patient name',
      condition: ({ referenceInstance }) => referenceInstance?.PatientName,
      contentF: ({ referenceInstance, formatters: { formatPN } }) => formatPN(referenceInstance.PatientName),
    }] } },
  ],
});
"""


def app_config(ae_titles: Sequence[str]) -> str:
    """The script; the first AE is the default."""
    settings = {
        "routerBasename": VIEWER.rstrip("/"),
        "extensions": [],
        "modes": [],
        "showStudyList": True,
        "investigationalUseDialog": {"option": "never"},
        "defaultDataSourceName": ae_titles[0] if ae_titles else None,
        "dataSources": [_data_source(ae_title) for ae_title in ae_titles],
    }
    return _TEMPLATE % json.dumps(settings, indent=2)


def _data_source(ae_title: str) -> dict[str, Any]:
    root = f"/dcm4chee-arc/aets/{quote(ae_title, safe='')}/rs"
    return {
        "namespace": _NAMESPACE,
        "sourceName": ae_title,
        "configuration": {
            "friendlyName": ae_title,
            "name": ae_title,
            "qidoRoot": root,
            "wadoRoot": root,
            "imageRendering": "wadors",
            "thumbnailRendering": "wadors",
            "enableStudyLazyLoad": True,
            "qidoSupportsIncludeField": True,
            "supportsFuzzyMatching": False,
            "supportsWildcard": True,
            "supportsReject": False,
            "dicomUploadEnabled": False,
            "omitQuotationForMultipartRequest": True,
            "bulkDataURI": {"enabled": True},
        },
    }
