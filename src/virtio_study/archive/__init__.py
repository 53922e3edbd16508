"""A study packed, made again elsewhere, and compared value by value."""
