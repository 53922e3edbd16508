"""A whole cluster: the natural experiment of every server, what they say together, and what they cannot say."""
