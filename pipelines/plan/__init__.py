"""From the face table to the plan: splits, variants, morphs, shards. No pixels except for neighbour search."""
