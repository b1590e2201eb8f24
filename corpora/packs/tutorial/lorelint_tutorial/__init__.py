"""A rule pack of one rule: modules below that hold a RULE are asked."""
