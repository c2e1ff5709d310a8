"""Pure functions on arrays: no files, no Beam, no global random state. Imports only schemas."""
