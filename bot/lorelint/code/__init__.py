"""C text to structure: functions, control flow, calls, summaries. Pure; the only home of tree-sitter and networkx.

Flow: `segments` (text -> top-level pieces) -> `parse` (piece -> syntax) -> `lower` (syntax -> `ir.Cfg`)
-> `loops`, `flow`, `worlds` (what holds where) -> `summary` (what a call may do). `program.Program`
is the lazy whole: one tree, everything in it looked up on demand, every look-up recorded.
"""
