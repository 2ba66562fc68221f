#!/usr/bin/env bash
# Runs the command as USER_ID:GROUP_ID, so that what it writes on mounted folders belongs to the caller; without them,
# as whoever the container runs as. The command takes this process's place: signals and exit codes are its own.
set -euo pipefail

fail() {
    echo "error: $*" >&2
    exit 2
}

user=${USER_ID:-} group=${GROUP_ID:-}
if [[ -z $user && -z $group ]]; then
    exec -- "$@"
fi
[[ -n $user && -n $group ]] || fail "USER_ID and GROUP_ID belong together; set both, or neither"
for id in "$user" "$group"; do
    [[ $id =~ ^(0|[1-9][0-9]{0,9})$ ]] || fail "USER_ID and GROUP_ID are numbers, not '$id'; take those of 'id -u' and 'id -g'"
done
if [[ $user:$group == "$(id -u):$(id -g)" ]]; then
    exec -- "$@"
fi
((EUID == 0)) || fail "only root can become $user:$group; leave out --user, or USER_ID and GROUP_ID"

# Some libraries ask for the user's name. A read-only root has no room for it, and most do without.
if [[ -w /etc/passwd && -w /etc/group ]]; then
    getent group "$group" >/dev/null || echo "zoo:x:$group:" >>/etc/group
    getent passwd "$user" >/dev/null || echo "zoo:x:$user:$group::$HOME:/bin/bash" >>/etc/passwd
fi
# gosu would take HOME from /etc/passwd, where a system user has a folder that it cannot write.
exec gosu "$user:$group" env HOME="$HOME" "$@"
