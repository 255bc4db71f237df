"""CloudEvents as records of Kafka and messages of RabbitMQ, both ways."""
