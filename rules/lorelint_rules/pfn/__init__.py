"""Rules about PFNs read out of page tables: how long they hold, and what ends the look-up."""
