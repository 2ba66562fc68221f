"""Recipe to run folder: Lightning trains, zoo says what, how fast and how far."""
