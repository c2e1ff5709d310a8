"""From the plan to shards: the only stage that makes pixels."""
