"""MXNet's RecordIO format, without MXNet."""
