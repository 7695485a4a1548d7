"""A consumer in another language, and AsyncAPI's own parser: both on Node.js, installed outside the source."""
