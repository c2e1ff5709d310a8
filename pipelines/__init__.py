"""Beam wiring, source adapters, shard writer and reader, command line. Imports every other room."""
