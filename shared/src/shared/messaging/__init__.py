"""The runtime between databases and Kafka: the only package that knows a Kafka client."""
