"""Write the samples of a build in other layouts."""
