"""The pages, a module for each kind: what is shown, and what its forms do."""
