"""What runs say of each other: comparison by statistics."""
