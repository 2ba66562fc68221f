"""What a published model claims, beside what comes of it here: one check for each claim."""
