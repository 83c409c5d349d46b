"""InferenceServices as processes of this machine."""
