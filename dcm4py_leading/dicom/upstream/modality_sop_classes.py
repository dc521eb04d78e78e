"""SOP classes that the objects of a modality are likely to have (PS3.3 C.7.3.1.1.1, PS3.4 B.5).

For archives that do not return the SOP classes; objects of other classes are retrieved by C-MOVE.
"""

from __future__ import annotations

from collections.abc import Mapping

from pynetdicom import sop_class

_OF_MODALITY: Mapping[str, tuple[str, ...]] = {
    "AU": ("BasicVoiceAudioWaveformStorage",),
    "BI": ("VLPhotographicImageStorage",),
    "CR": ("ComputedRadiographyImageStorage",),
    "CT": ("CTImageStorage", "EnhancedCTImageStorage", "LegacyConvertedEnhancedCTImageStorage"),
    "DOC": ("EncapsulatedPDFStorage", "EncapsulatedCDAStorage"),
    "DX": ("DigitalXRayImageStorageForPresentation", "DigitalXRayImageStorageForProcessing"),
    "ECG": (
        "TwelveLeadECGWaveformStorage",
        "GeneralECGWaveformStorage",
        "AmbulatoryECGWaveformStorage",
        "EncapsulatedPDFStorage",
    ),
    "ES": ("VLEndoscopicImageStorage", "VideoEndoscopicImageStorage"),
    "GM": ("VLMicroscopicImageStorage", "VideoMicroscopicImageStorage"),
    "HD": ("HemodynamicWaveformStorage",),
    "IO": ("DigitalIntraOralXRayImageStorageForPresentation", "DigitalIntraOralXRayImageStorageForProcessing"),
    "IVOCT": (
        "IntravascularOpticalCoherenceTomographyImageStorageForPresentation",
        "IntravascularOpticalCoherenceTomographyImageStorageForProcessing",
    ),
    "IVUS": ("UltrasoundImageStorage", "UltrasoundMultiFrameImageStorage"),
    "KO": ("KeyObjectSelectionDocumentStorage",),
    "MG": (
        "DigitalMammographyXRayImageStorageForPresentation",
        "DigitalMammographyXRayImageStorageForProcessing",
        "BreastTomosynthesisImageStorage",
    ),
    "MR": (
        "MRImageStorage",
        "EnhancedMRImageStorage",
        "EnhancedMRColorImageStorage",
        "LegacyConvertedEnhancedMRImageStorage",
        "MRSpectroscopyStorage",
    ),
    "NM": ("NuclearMedicineImageStorage",),
    "OP": ("OphthalmicPhotography8BitImageStorage", "OphthalmicPhotography16BitImageStorage"),
    "OPT": ("OphthalmicTomographyImageStorage",),
    "OT": ("SecondaryCaptureImageStorage",),
    "PR": (
        "GrayscaleSoftcopyPresentationStateStorage",
        "ColorSoftcopyPresentationStateStorage",
        "BlendingSoftcopyPresentationStateStorage",
    ),
    "PT": ("PositronEmissionTomographyImageStorage", "EnhancedPETImageStorage"),
    "PX": ("DigitalXRayImageStorageForPresentation", "ComputedRadiographyImageStorage"),
    "REG": ("SpatialRegistrationStorage", "DeformableSpatialRegistrationStorage"),
    "RF": ("XRayRadiofluoroscopicImageStorage", "EnhancedXRFImageStorage"),
    "RTDOSE": ("RTDoseStorage",),
    "RTIMAGE": ("RTImageStorage",),
    "RTPLAN": ("RTPlanStorage", "RTIonPlanStorage"),
    "RTRECORD": ("RTBeamsTreatmentRecordStorage", "RTTreatmentSummaryRecordStorage"),
    "RTSTRUCT": ("RTStructureSetStorage",),
    "SC": ("SecondaryCaptureImageStorage",),
    "SEG": ("SegmentationStorage", "SurfaceSegmentationStorage"),
    "SM": ("VLWholeSlideMicroscopyImageStorage", "VLSlideCoordinatesMicroscopicImageStorage"),
    "SR": (
        "BasicTextSRStorage",
        "EnhancedSRStorage",
        "ComprehensiveSRStorage",
        "Comprehensive3DSRStorage",
        "XRayRadiationDoseSRStorage",
        "MammographyCADSRStorage",
        "ChestCADSRStorage",
    ),
    "US": ("UltrasoundImageStorage", "UltrasoundMultiFrameImageStorage"),
    "XA": ("XRayAngiographicImageStorage", "EnhancedXAImageStorage", "XRay3DAngiographicImageStorage"),
    "XC": ("VLPhotographicImageStorage", "VideoPhotographicImageStorage"),
}
_WITH_ANY = (
    "SecondaryCaptureImageStorage",
    "MultiFrameGrayscaleByteSecondaryCaptureImageStorage",
    "MultiFrameTrueColorSecondaryCaptureImageStorage",
    "MultiFrameGrayscaleWordSecondaryCaptureImageStorage",
    "EncapsulatedPDFStorage",
    "KeyObjectSelectionDocumentStorage",
    "GrayscaleSoftcopyPresentationStateStorage",
    "XRayRadiationDoseSRStorage",
    "RawDataStorage",
)


def sop_classes_of(modality: str) -> tuple[str, ...]:
    """SOP Class UIDs of the objects that a modality makes; none for an unknown modality."""
    return _uids(_OF_MODALITY.get(modality, ()))


def companions() -> tuple[str, ...]:
    """SOP Class UIDs of objects that accompany those of any modality."""
    return _uids(_WITH_ANY)


def _uids(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(str(getattr(sop_class, name)) for name in names)
