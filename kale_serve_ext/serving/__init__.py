"""From a model artifact to an InferenceService and its answers: plan, manifest, status, protocols."""
