"""From listed photos to the face table: detect, landmarks, quality."""
