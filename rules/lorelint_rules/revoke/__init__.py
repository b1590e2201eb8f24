"""Rules about memory taken away from an object while user space has it mapped."""
