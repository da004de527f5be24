# Reduces the tree in $1 to what a dynamically linked program needs to start, resolve names and verify
# certificates: no shell, no package database.
set -e
root="$1"
cat "$root"/usr/share/ca-certificates/mozilla/*.crt > "$root/ca-bundle"
mkdir -p "$root/keep/usr/lib" "$root/keep/etc/ssl/certs" "$root/keep/tmp"
triplet=$(basename "$(dirname "$(ls "$root"/usr/lib/*/libc.so.6)")")
mkdir -p "$root/keep/usr/lib/$triplet"
for library in libc.so.6 libm.so.6 libdl.so.2 libpthread.so.0 librt.so.1 libresolv.so.2 libgcc_s.so.1 \
    libnss_dns.so.2 libnss_files.so.2 'ld-linux-*.so.*'; do
    cp -L "$root/usr/lib/$triplet"/$library "$root/keep/usr/lib/$triplet/"
done
# The loader's place depends on the architecture: /lib64 on amd64, /lib on arm64.
ln -s usr/lib "$root/keep/lib"
if ls "$root/keep/usr/lib/$triplet"/ld-linux-x86-64.so.2 > /dev/null 2>&1; then
    mkdir "$root/keep/usr/lib64"
    ln -s "../lib/$triplet/ld-linux-x86-64.so.2" "$root/keep/usr/lib64/ld-linux-x86-64.so.2"
    ln -s usr/lib64 "$root/keep/lib64"
else
    for loader in "$root/keep/usr/lib/$triplet"/ld-linux-*; do
        ln -s "$triplet/$(basename "$loader")" "$root/keep/usr/lib/$(basename "$loader")"
    done
fi
mv "$root/ca-bundle" "$root/keep/etc/ssl/certs/ca-certificates.crt"
printf 'root:x:0:0:root:/:/sbin/nologin\nnobody:x:65534:65534:nobody:/:/sbin/nologin\n' > "$root/keep/etc/passwd"
printf 'root:x:0:\nnogroup:x:65534:\n' > "$root/keep/etc/group"
printf 'hosts: files dns\n' > "$root/keep/etc/nsswitch.conf"
chmod 1777 "$root/keep/tmp"
for entry in "$root"/* "$root"/.[!.]*; do
    case "$entry" in "$root/keep" | "$root/dev" | "$root/proc" | "$root/sys") ;; *) rm -rf "$entry" ;; esac
done
mv "$root"/keep/* "$root/"
rmdir "$root/keep"
