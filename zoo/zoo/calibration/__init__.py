"""A threshold of one's own: from pictures of strangers to a rate of false acceptance that is kept."""
