#!/bin/sh
# Build the image again from nothing: it must be the same, bit for bit.
set -eu
cd build
(cd image && sha256sum exthost.oci.tar sbom.spdx.json) >image.sha256
rm -rf image
make -C .. --no-print-directory image >image.log 2>&1 || { tail -20 image.log; exit 1; }
(cd image && sha256sum -c ../image.sha256)
