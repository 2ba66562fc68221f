"""First-party zoo plugin."""
