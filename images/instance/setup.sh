# Before the packages of the tree in $1 are installed. User and group have the numbers that volumes of
# published Spilo images carry; no package may start a database of its own.
set -e
root="$1"
mkdir -p "$root/etc/postgresql-common"
echo "create_main_cluster = false" > "$root/etc/postgresql-common/createcluster.conf"
echo "postgres:x:101:103:PostgreSQL:/home/postgres:/bin/bash" >> "$root/etc/passwd"
echo "postgres:x:103:" >> "$root/etc/group"
if [ -f "$root/etc/shadow" ]; then echo "postgres:*:20000::::::" >> "$root/etc/shadow"; fi
if [ -f "$root/etc/gshadow" ]; then echo "postgres:*::" >> "$root/etc/gshadow"; fi
