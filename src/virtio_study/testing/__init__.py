"""What tests and the demonstration need: an embedded, simulated Proxmox VE host."""
