"""Folders in object stores: addresses such as ``s3://BUCKET/KEY``, working copies, and leases on them."""
