"""The nearest faces of each face, exactly, without comparing all pictures in full."""
