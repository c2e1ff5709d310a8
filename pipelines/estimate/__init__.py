"""Estimate what a build would cost on a cluster, from a trial with a few photos."""
