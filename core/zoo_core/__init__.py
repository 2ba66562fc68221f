"""The contract between zoo and its plugins: imports no torch, no click and no plugin."""
