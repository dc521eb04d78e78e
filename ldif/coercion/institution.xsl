<?xml version="1.0" encoding="UTF-8"?>
<!-- Institution Name (0008,0080) by the department that the object names. By tags, so that it does with and without
     keywords. The result has what is to be changed; everything else stays. -->
<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
  <xsl:output method="xml"/>
  <xsl:template match="/NativeDicomModel">
    <NativeDicomModel>
      <xsl:if test="DicomAttribute[@tag='00081040']/Value = 'Cardiology'">
        <DicomAttribute tag="00080080" vr="LO">
          <Value number="1">Heart Centre</Value>
        </DicomAttribute>
      </xsl:if>
    </NativeDicomModel>
  </xsl:template>
</xsl:stylesheet>
