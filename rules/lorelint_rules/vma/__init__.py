"""Rules about VMAs: looked up for one address, used for more than that."""
