"""What a component promises, checked on one small batch of real samples: below the stages, which all may ask for it."""
