"""Every timm model as a feature pyramid."""
