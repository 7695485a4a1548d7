"""What tests of several folders share: servers, waiting, sample data."""
