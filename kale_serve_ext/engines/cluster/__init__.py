"""The cluster engine: InferenceServices in Kubernetes, by KServe."""
