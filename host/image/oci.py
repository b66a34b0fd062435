"""Compress an image's layers again and pack it: usage: oci.py DIRECTORY ARCHIVE EPOCH

DIRECTORY is an OCI image layout with layers in gzip. Zstandard makes the root file system a fifth
smaller. The archive's members are sorted and have one date.
"""

import gzip
import hashlib
import json
import subprocess
import sys
import tarfile
from pathlib import Path

# A window of 32 MB, nearly all of the root file system; one thread, for the same bytes each time.
ZSTD = ["zstd", "-q", "-19", "--long=25", "--single-thread", "-c"]


def put_blob(folder, descriptor, data):
    descriptor["digest"] = "sha256:" + hashlib.sha256(data).hexdigest()
    descriptor["size"] = len(data)
    blob_path(folder, descriptor).write_bytes(data)


def blob_path(folder, descriptor):
    algorithm, _, digest = descriptor["digest"].partition(":")
    return folder / "blobs" / algorithm / digest


def compress_layers(folder):
    index_path = folder / "index.json"
    index = json.loads(index_path.read_text())
    for manifest_descriptor in index["manifests"]:
        manifest_path = blob_path(folder, manifest_descriptor)
        manifest = json.loads(manifest_path.read_text())
        for layer in manifest["layers"]:
            old = blob_path(folder, layer)
            plain = gzip.decompress(old.read_bytes())
            packed = subprocess.run(ZSTD, input=plain, check=True, capture_output=True).stdout
            old.unlink()
            layer["mediaType"] = "application/vnd.oci.image.layer.v1.tar+zstd"
            put_blob(folder, layer, packed)
        manifest_path.unlink()
        put_blob(folder, manifest_descriptor, json.dumps(manifest).encode())
    index_path.write_text(json.dumps(index))


def pack(folder, archive, epoch):
    with tarfile.open(archive, "w", format=tarfile.GNU_FORMAT) as tar:
        for path in sorted(folder.rglob("*")):
            member = tar.gettarinfo(path, str(path.relative_to(folder)))
            member.uid = member.gid = 0
            member.uname = member.gname = ""
            member.mtime = epoch
            member.mode = 0o755 if path.is_dir() else 0o644
            if path.is_file():
                with open(path, "rb") as data:
                    tar.addfile(member, data)
            else:
                tar.addfile(member)


def main(folder, archive, epoch):
    compress_layers(Path(folder))
    pack(Path(folder), archive, int(epoch))


if __name__ == "__main__":
    main(*sys.argv[1:])
