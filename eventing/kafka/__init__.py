"""What broker class, source and sink have in common where it comes to Kafka."""
