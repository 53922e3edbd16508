"""Which notebook depends on what, and running those that are not up to date."""
