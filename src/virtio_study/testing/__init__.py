"""What tests and the demonstration need beside the package: an embedded, simulated Proxmox VE host."""
