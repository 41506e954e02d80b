"""What a release says of itself is proven by reading all of it again; nothing here writes."""
