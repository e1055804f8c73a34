#!/usr/bin/env bash
# Makes the images without Docker and imports them into a cluster of the kube lab: KUBE=FOLDER npm run image [TAG]
set -euo pipefail
lab=${KUBE:?set KUBE to the folder with the command "image" of the kube lab}
tag=${1:-dev}
cd "$(dirname "$0")/../.."

node build.ts
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

mkdir -p "$folder/mesh/app"
cp -R dist/. "$folder/mesh/app/"
# Node takes the bundles for ES modules by this.
echo '{"type":"module"}' >"$folder/mesh/app/package.json"
"$lab/image" "selvage/selvage:$tag" tools "$folder/mesh" --user 1337

mkdir -p "$folder/shop/shop"
cp -R manifests/examples/shop/apps "$folder/shop/shop/apps"
echo '{"type":"module"}' >"$folder/shop/shop/package.json"
"$lab/image" "selvage/shop:$tag" tools "$folder/shop" --user 1000 --workdir /shop
