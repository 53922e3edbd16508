"""Where recordings come from: the Proxmox API, its files, and dumps of other programs."""
