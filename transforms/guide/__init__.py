"""Guide masks: which pixels of a face belong to the parts that an attribute speaks of."""
