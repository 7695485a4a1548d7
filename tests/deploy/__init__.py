"""The files of the deployment, checked without running them."""
