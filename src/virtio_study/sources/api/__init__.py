"""A live Proxmox VE host: asked once, watched for weeks, examined, listed."""
