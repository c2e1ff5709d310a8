"""Apply networks and transforms to ordinary photos."""
