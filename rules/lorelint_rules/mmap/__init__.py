"""Rules about mmap handlers: which part of an object user space gets, and what its VMA must be."""
