"""The model card, a module per subject: every figure is a fact of the run; a section without facts is left out."""
