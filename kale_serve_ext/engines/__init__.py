"""Where InferenceServices run: ``base`` says what an engine is, each folder beside it is one."""
