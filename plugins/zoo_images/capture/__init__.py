"""Augmentation that simulates a phone photo of a flat document, on the CPU or on the device that trains."""
