"""MSaGAN 2020: edits one attribute of a face, where an attention mask allows it."""
