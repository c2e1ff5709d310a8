"""From a decoded photo to the pictures and files of one sample."""
