"""Places that keep immutable snapshots: one file each."""
