"""The environments that this package knows, one file each."""
