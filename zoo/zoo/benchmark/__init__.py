"""How fast an exported model is, and what memory it takes: by precision, provider, threads and batch size."""
