"""bench: how fast this machine trains, beside its matmul ceiling and nanoGPT."""
