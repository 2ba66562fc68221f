"""A published model at work: pictures named by comparing them with a gallery. Needs no torch."""
