"""Train networks on finished builds."""
