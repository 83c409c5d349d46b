"""How requests get to the components of services."""
