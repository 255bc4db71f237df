"""What broker class and source have in common where it comes to RabbitMQ."""
