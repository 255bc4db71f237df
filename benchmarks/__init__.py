"""What the platform must reach, measured against a yardstick in the same run. Not tests: nothing here fails a build."""
