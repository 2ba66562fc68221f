"""Which sample comes when, and how samples become batches."""
