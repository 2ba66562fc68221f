"""Image datasets, and an augmentation that simulates phone photos of flat documents."""
