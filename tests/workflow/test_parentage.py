"""What a killed program started is gone, also while it still starts."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

SLOW = "import os, time\nopen('started', 'w').write(str(os.getpid()))\nos.rename('started', 'there')\ntime.sleep(60)\n"
WORKER = """
import os, subprocess, sys, time
code = "import sys; from virtio_study.workflow import kernels; kernels.NEEDED = ('slow',)\\n"
code += "kernels.main(int(sys.argv[1]), int(sys.argv[2]))"
ours, theirs = os.pipe()
subprocess.Popen([sys.executable, "-c", code, str(ours), str(os.getpid())], pass_fds=(ours,))
time.sleep(60)
"""


def test_a_kernels_parent_that_still_imports_ends_with_its_worker(tmp_path: Path) -> None:
    """It looked for its worker after its imports alone, which take seconds, and half a minute on a busy machine."""
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "slow.py").write_text(SLOW)
    found = os.pathsep.join([str(tmp_path / "modules"), *sys.path])
    worker = subprocess.Popen([sys.executable, "-c", WORKER], cwd=tmp_path, env={**os.environ, "PYTHONPATH": found})
    until = time.monotonic() + 60
    while not (tmp_path / "there").exists():
        assert time.monotonic() < until
        time.sleep(0.02)
    kernels = int((tmp_path / "there").read_text())
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    until = time.monotonic() + 5
    while Path(f"/proc/{kernels}").exists():
        assert time.monotonic() < until
        time.sleep(0.02)
