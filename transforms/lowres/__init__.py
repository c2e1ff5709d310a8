"""Low-resolution partners of aligned faces, as published systems make them and as a far camera would."""
