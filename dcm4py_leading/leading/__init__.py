"""Leading archives: asked, remembered, believed within limits."""
