"""Anti-Mask (JATIT 2022): completes a face from its upper part, through features of a face network."""
