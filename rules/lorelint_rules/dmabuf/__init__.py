"""Rules about buffers shared by dma-buf: who owns one, who may touch it, under which lock."""
