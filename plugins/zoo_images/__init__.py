"""Image datasets, and an augmentation that photographs flat documents."""
