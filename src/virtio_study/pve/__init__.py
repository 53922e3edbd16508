"""What Proxmox' words mean: devices, memory instruments, configuration of a virtual machine."""
