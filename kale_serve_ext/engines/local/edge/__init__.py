"""Between a service's address and servers that take no inherited socket: requests are checked here and passed on."""
