"""What do VirtIO drivers change in the CPU and RAM of Proxmox virtual servers, and can it be believed?"""

__version__ = "0.1.0"
