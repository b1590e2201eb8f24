"""Rules about pages that GUP gave: all released, once, by the call that fits, and marked dirty where written."""
