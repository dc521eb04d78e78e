<?xml version="1.0" encoding="UTF-8"?>
<!-- From a worklist item to what images get of it: Accession Number and Study Description, and one item of the Request
     Attributes Sequence (0040,0275). -->
<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
  <xsl:output method="xml"/>
  <xsl:template match="/NativeDicomModel">
    <xsl:variable name="step" select="DicomAttribute[@tag='00400100']/Item[1]"/>
    <NativeDicomModel>
      <xsl:copy-of select="DicomAttribute[@tag='00080050'][Value]"/>
      <xsl:if test="DicomAttribute[@tag='00321060']/Value">
        <DicomAttribute tag="00081030" vr="LO">
          <xsl:copy-of select="DicomAttribute[@tag='00321060']/Value"/>
        </DicomAttribute>
      </xsl:if>
      <DicomAttribute tag="00400275" vr="SQ">
        <Item number="1">
          <xsl:copy-of select="DicomAttribute[@tag='00401001'][Value]"/>
          <xsl:copy-of select="$step/DicomAttribute[@tag='00400007' or @tag='00400009'][Value]"/>
        </Item>
      </DicomAttribute>
    </NativeDicomModel>
  </xsl:template>
</xsl:stylesheet>
