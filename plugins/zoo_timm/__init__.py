"""Every timm model as a backbone or a teacher."""
