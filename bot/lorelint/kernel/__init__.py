"""What we know of the kernel, as data: TOML lists with versions, loaded and checked by `lorelint.kernel.load`.

The files name APIs that headers declare, never a function that stands in one driver alone: what such a
function does is read from its body.
"""
