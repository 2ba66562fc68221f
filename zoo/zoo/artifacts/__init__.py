"""The artifact folder, which is what is published."""
