"""What documents are made of: backgrounds, pictures, emblems, text, and the fields that samples fill."""
