"""The database: engine, the transaction of an edge, migrations, column types."""
