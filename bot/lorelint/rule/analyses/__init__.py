"""What several rules ask about one tree: types of expressions, entries, mappings, unmaps.

Each module computes on demand, through the program, so that every look-up is recorded for the verdict it was
made for. Rule packs get them through `lorelint.rule`.
"""
