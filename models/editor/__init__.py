"""The mask editor: paints the face under a mask (Mask2Face; Din et al. 2020)."""
