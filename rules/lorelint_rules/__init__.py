"""The rules that come with lorelint: one module a rule, its example beside it, a folder for each family of harm.

They come in by the entry-point group ``lorelint.rules`` and import `lorelint.rule` alone, as any pack would.
"""
