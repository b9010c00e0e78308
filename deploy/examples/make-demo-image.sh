#!/bin/sh
# make-demo-image.sh OUT.tar [NAME]: the demo's image as an OCI archive, from Debian's busybox-static alone. Its program answers on
# port 8080 with the name of the host (so: of the pod). The same input gives the same bytes.
set -eu
out=${1:?usage: make-demo-image.sh OUT.tar [NAME]}
name=${2:-localhost/kubus/demo:1}
busybox=${BUSYBOX:-/bin/busybox}
[ -x "$busybox" ] || { echo "make-demo-image.sh: $busybox is missing: install busybox-static" >&2; exit 1; }
if "$busybox" 2>/dev/null | head -1 | grep -q BusyBox && ! ldd "$busybox" >/dev/null 2>&1; then :; else
  echo "make-demo-image.sh: $busybox is not the static BusyBox: install busybox-static" >&2; exit 1
fi
case $(uname -m) in x86_64) arch=amd64 ;; aarch64) arch=arm64 ;; *) arch=$(uname -m) ;; esac

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT INT TERM
root=$tmp/root blobs=$tmp/oci/blobs/sha256
mkdir -p "$root/bin" "$root/etc" "$root/tmp" "$root/root" "$root/www/cgi-bin" "$root/home" "$root/var" "$root/usr" "$blobs"
ln -s ../bin "$root/usr/bin"
cp "$busybox" "$root/bin/busybox"
chmod 755 "$root/bin/busybox"
for applet in $("$busybox" --list); do
  [ "$applet" = busybox ] || ln -s busybox "$root/bin/$applet"
done
printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/home:/bin/false\n' > "$root/etc/passwd"
printf 'root:x:0:\ntty:x:5:\nnogroup:x:65534:\n' > "$root/etc/group"
cat > "$root/bin/demo" <<'DEMO'
#!/bin/sh
# Serves the host's name on port 8080 until told to end.
trap 'kill $pid 2>/dev/null; exit 0' TERM INT
port=${PORT:-8080}
mkdir -p /tmp/www
hostname > /tmp/www/index.html
echo "demo: $(hostname) serves on port $port"
httpd -f -v -p "$port" -h /tmp/www &
pid=$!
wait $pid
DEMO
chmod 755 "$root/bin/demo"
chmod 1777 "$root/tmp"

digest() { sha256sum "$1" | cut -d' ' -f1; }
size() { wc -c < "$1" | tr -d ' '; }
blob() { d=$(digest "$1"); mv "$1" "$blobs/$d"; echo "$d"; }
pack() { tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --format=gnu -C "$1" -cf "$2" .; }

pack "$root" "$tmp/layer.tar"
diff=$(digest "$tmp/layer.tar")
gzip -n "$tmp/layer.tar"
layer=$(blob "$tmp/layer.tar.gz")
printf '{"created":"1970-01-01T00:00:00Z","architecture":"%s","os":"linux","config":{"Env":["PATH=/bin"],"Cmd":["/bin/demo"],"WorkingDir":"/","ExposedPorts":{"8080/tcp":{}}},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' \
  "$arch" "$diff" > "$tmp/config"
config_size=$(size "$tmp/config")
config=$(blob "$tmp/config")
printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:%s","size":%s},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"sha256:%s","size":%s}]}' \
  "$config" "$config_size" "$layer" "$(size "$blobs/$layer")" > "$tmp/manifest"
manifest_size=$(size "$tmp/manifest")
manifest=$(blob "$tmp/manifest")
printf '{"imageLayoutVersion":"1.0.0"}' > "$tmp/oci/oci-layout"
printf '{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:%s","size":%s,"annotations":{"org.opencontainers.image.ref.name":"%s","io.containerd.image.name":"%s"},"platform":{"architecture":"%s","os":"linux"}}]}' \
  "$manifest" "$manifest_size" "${name##*:}" "$name" "$arch" > "$tmp/oci/index.json"
pack "$tmp/oci" "$tmp/out.tar"
mv "$tmp/out.tar" "$out"
echo "$out: $name sha256:$manifest"
