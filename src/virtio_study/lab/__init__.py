"""The lab: real QEMU guests under a known load, sampled as Proxmox VE samples its own."""
