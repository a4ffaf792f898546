"""Where frames and ground truth come from: catalogue, readers and the synthetic generator."""
