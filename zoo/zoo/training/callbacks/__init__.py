"""What happens around the steps of a training; each callback owns its state."""
