# After the packages of the tree in $1 are installed: one locale, direct links to the newest client programs
# instead of the wrapper that needs all of Perl, and nothing that a running container never reads.
set -e
root="$1"
chroot "$root" localedef -i en_US -f UTF-8 en_US.UTF-8
newest=$(ls "$root/usr/lib/postgresql" | sort -n | tail -n 1)
for program in "$root/usr/lib/postgresql/$newest/bin"/*; do
    name=$(basename "$program")
    if [ -L "$root/usr/bin/$name" ]; then
        ln -sf "../lib/postgresql/$newest/bin/$name" "$root/usr/bin/$name"
    fi
done
rm -rf "$root"/usr/share/perl "$root"/usr/lib/*/perl "$root"/usr/lib/*/libperl.so*
rm -rf "$root"/usr/lib/systemd "$root"/usr/lib/*/systemd "$root"/usr/lib/python3*/test "$root"/usr/share/i18n
rm -rf "$root"/usr/share/postgresql/*/man "$root"/usr/lib/postgresql/*/lib/bitcode "$root"/usr/lib/postgresql/*/lib/pgxs
rm -rf "$root"/var/cache/apt/* "$root"/var/cache/debconf/*-old "$root"/var/lib/apt/lists/* "$root"/var/log/*
