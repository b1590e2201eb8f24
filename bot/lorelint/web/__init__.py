"""A face on the store for a browser: what waits, why, and the words that may go out.

It shows, and it decides through jobs that work on the store alone. It analyses nothing, and nothing here can send
mail: what is released waits for `lorelint send`, which is another process with settings of its own.
"""
