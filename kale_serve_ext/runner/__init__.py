"""What runs inside a predictor or transformer: a process here, a container in a cluster."""
