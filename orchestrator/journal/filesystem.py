"""Which file system a folder is on: SQLite's write-ahead log needs shared memory, which network file systems lack."""

from __future__ import annotations

import os
from pathlib import Path

NETWORK = frozenset(
    {
        "9p", "afs", "ceph", "cifs", "fuse.ceph", "fuse.glusterfs", "fuse.rclone", "fuse.s3fs", "fuse.sshfs", "gfs2",
        "glusterfs", "lustre", "ncpfs", "nfs", "nfs4", "ocfs2", "smb2", "smb3", "smbfs",
    }
)  # fmt: skip


def filesystem_type(folder: Path, mountinfo: Path = Path("/proc/self/mountinfo")) -> str | None:
    """The type as the kernel names it (`ext4`, `nfs4`); None where it can't be told, as on macOS."""
    device = folder.stat().st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    try:
        lines = mountinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    for line in lines:
        # proc(5): id, parent, major:minor, root, mount point, options, optional fields, "-", type, source, options
        before, _, after = line.partition(" - ")
        if before.split()[2] == wanted:
            return after.split()[0]
    return None
