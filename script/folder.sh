# shellcheck shell=bash
#
# script/folder.sh: whole Debian systems in folders, for script/check-versions and
# script/check-bare. Needs root. They are kept under PERFOPT_CACHE (default
# ${XDG_CACHE_HOME:-$HOME/.cache}/perfopt), one folder a suite.
#
# What runs in such a folder is in mount and PID namespaces of its own, with its own /proc: it can
# neither see nor signal the processes outside, and when the command ends the kernel ends all that
# it left behind, servers included. The network is shared with the outside.

PERFOPT_CACHE=${PERFOPT_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/perfopt}
PERFOPT_MIRROR=${PERFOPT_MIRROR:-http://deb.debian.org/debian}

# folder_make SUITE FOLDER: a minimal Debian (what debootstrap calls minbase).
folder_make()
{
	local suite=$1 folder=$2 scripts=/usr/share/debootstrap/scripts recipe

	[ "$(id -u)" = 0 ] || die "needs root, for debootstrap and chroot"
	command -v debootstrap >/dev/null 2>&1 || die "debootstrap is missing; script/deps --dev installs it"
	# A debootstrap older than the suite has no recipe for it; sid's is the same for all new suites.
	recipe=$scripts/$suite
	[ -e "$recipe" ] || recipe=$scripts/sid
	rm -rf --one-file-system "$folder.new"
	mkdir -p "${folder%/*}"
	say "making a minimal Debian $suite in $folder"
	debootstrap --variant=minbase "$suite" "$folder.new" "$PERFOPT_MIRROR" "$recipe" >"$folder.log" 2>&1 ||
		{ tail -n 20 "$folder.log" >&2; die "debootstrap of $suite failed"; }
	# A mirror's copy of a moving suite may be older than its signature allows.
	printf 'Acquire::Check-Valid-Until "false";\n' >"$folder.new/etc/apt/apt.conf.d/90perfopt"
	# What debootstrap fetched is installed by now.
	rm -rf "$folder.new"/var/cache/apt/archives/*.deb
	mv "$folder.new" "$folder"
}

# folder_copy_tree FOLDER TO: this repository's files, as TO inside the folder.
folder_copy_tree()
{
	rm -rf --one-file-system "${1:?}$2"
	copy_tree "$1$2"
	chown -R root:root "$1$2"
}

# folder_run FOLDER CMD...: as root of that folder, in namespaces of its own.
folder_run()
{
	local folder=$1
	shift
	unshare --mount --pid --fork --kill-child --propagation private -- sh -c '
		set -e
		folder=$1
		shift
		mount -t proc proc "$folder/proc"
		mkdir -p "$folder/dev/shm" "$folder/dev/pts"
		mount -t tmpfs -o mode=1777 tmpfs "$folder/dev/shm"
		mount -t devpts -o newinstance,ptmxmode=0666,mode=0620 devpts "$folder/dev/pts" 2>/dev/null || true
		exec chroot "$folder" env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
			HOME=/root TERM="${TERM:-dumb}" LANG=C.UTF-8 "$@"
	' sh "$folder" "$@"
}
