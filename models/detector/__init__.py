"""The detector of face masks after Mask2Face (2022) and Din et al. (2020): where is the mask?"""
