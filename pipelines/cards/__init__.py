"""Cards of builds and releases, for people and for machines."""
