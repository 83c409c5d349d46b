"""ML Metadata: the client, the embedded engine, and how artifacts, versions and lineage are kept in it."""
