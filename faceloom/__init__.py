"""faceloom: folders of face photos in, versioned training sets for masked-face research out."""
