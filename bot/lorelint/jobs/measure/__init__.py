"""How good the rules are: over labelled functions, over mail, between two trees, and with checks taken out.

labels     precision and recall over functions that somebody labelled
mail       what is said over series that apply to a tree
between    what is said over the files in which two trees differ
mutate     whether a rule speaks once a check is taken out of a function it was silent about
judged     what persons made of findings
ledger     the figures, written down
"""

from lorelint.jobs.measure.labels import labels, measure
from lorelint.model.measurement import Case, Label, Measurement, Score, Skip
from lorelint.report.measure import render, to_json

__all__ = ["Case", "Label", "Measurement", "Score", "Skip", "labels", "measure", "render", "to_json"]
