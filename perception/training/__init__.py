"""Training of networks: losses, data, the loop, and what it keeps on disk."""
