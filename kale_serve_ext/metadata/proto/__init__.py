"""Messages of the MLMD wire protocol that this project uses, made from ``mlmd.proto``."""
