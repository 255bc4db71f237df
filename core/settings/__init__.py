"""The `config-*` ConfigMaps of namespace `knative-serving`, one frozen dataclass each. Pure: text in, settings out."""
