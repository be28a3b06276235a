"""What the figures were measured on, and by which command."""

import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch


def machine(command: str, device: str = "cpu") -> dict[str, Any]:
    cpu = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        names = [line.partition(":")[2].strip() for line in lines if "model name" in line]
        cpu = names[0] if names else cpu
    head = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return {
        "cpu": cpu,
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if device == "cuda" else None,
        "torch": torch.__version__,
        "commit": head.stdout.strip(),
        "command": " ".join([f"python -m {command}", *sys.argv[1:]]),
    }
