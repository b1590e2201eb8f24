"""Who may get which words: the policy file read, asked, and explained."""
