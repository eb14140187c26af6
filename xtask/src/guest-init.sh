#!/bin/sh
# The guest's first program. It mounts this machine's root (read-only, with a writable layer that
# is lost at the end), joins the two NICs, mounts the disk, and hands over to the agent.
# From the kernel's command line: AGENT, the agent's path; ONLY_BOOT, to stop at once.
export PATH=/bin

fail() {
    echo "copytrace guest: $*"
    poweroff -f
}

mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
if [ -n "$ONLY_BOOT" ]; then
    echo "copytrace guest: booted"
    poweroff -f
fi

# The network: eth0 stays here, eth1 is the consumer's, in a namespace of its own.
network() {
    ip link set lo up
    ip addr add 10.99.0.1/24 dev eth0 && ip link set eth0 up || fail "there is no first NIC"
    unshare -n sh -c '
        mount -o bind /proc/self/ns/net /run/netns/copytrace
        ip link set lo up
        echo $$ >/run/consumer
        while ! ip link show eth1 >/dev/null 2>&1; do usleep 5000; done
        ip addr add 10.99.0.2/24 dev eth1
        ip link set eth1 up
        while ! ping -q -c 1 -W 1 10.99.0.1 >/dev/null 2>&1; do usleep 20000; done
        touch /run/linked
    ' &
    while [ ! -s /run/consumer ]; do usleep 5000; done
    ip link set eth1 netns "$(cat /run/consumer)" || fail "there is no second NIC"
}

hostname copytrace-guest
mkdir -p /run/netns
touch /run/netns/copytrace
for module in $(cat /modules/order); do
    insmod "/modules/$module.ko" || fail "cannot load the module $module"
    # A link takes seconds to come up: meanwhile the rest is prepared.
    if [ -z "$joined" ] && [ -d /sys/class/net/eth1 ]; then
        joined=1
        network &
    fi
done
[ -n "$joined" ] || fail "there are no two NICs"

# This machine's files.
mount -t 9p -o ro,trans=virtio,version=9p2000.L,cache=loose,msize=512000 hostroot /lower ||
    fail "cannot mount the root over 9p"
mount -t tmpfs -o mode=755,size=60% scratch /scratch
mkdir /scratch/upper /scratch/work
mount -t overlay -o lowerdir=/lower,upperdir=/scratch/upper,workdir=/scratch/work overlay /host ||
    fail "cannot put a writable layer on the root"
mkdir -p /host/proc /host/sys /host/dev /host/run /host/tmp /host/var/tmp
mount -t proc proc /host/proc
mount -t sysfs sys /host/sys
mount -t devtmpfs dev /host/dev
mkdir -p /host/dev/pts /host/dev/shm
mount -t devpts -o mode=620,ptmxmode=666 devpts /host/dev/pts
mount -t tmpfs -o mode=1777 shm /host/dev/shm
ln -sf /proc/self/fd /host/dev/fd
ln -sf /proc/self/fd/0 /host/dev/stdin
ln -sf /proc/self/fd/1 /host/dev/stdout
ln -sf /proc/self/fd/2 /host/dev/stderr
mount -t tracefs tracefs /host/sys/kernel/tracing
mount -t debugfs debugfs /host/sys/kernel/debug
mount -t bpf bpf /host/sys/fs/bpf
mount -t cgroup2 cgroup2 /host/sys/fs/cgroup
mount -t tmpfs -o mode=755 run /host/run
mkdir -p /host/run/lock /host/run/netns
# What was written to the root, and nothing else: the agent brings back what a command wrote.
mkdir -p /host/run/copytrace/written
mount -o bind /scratch/upper /host/run/copytrace/written || fail "cannot show what is written"
while [ ! -b /dev/vda ]; do usleep 5000; done
mount -t ext4 /dev/vda /host/var/tmp || fail "cannot mount the disk"
chmod 1777 /host/var/tmp

while [ ! -e /run/linked ]; do usleep 5000; done
touch /host/run/netns/copytrace
mount -o bind /run/netns/copytrace /host/run/netns/copytrace || fail "cannot keep the namespace"

while [ ! -c /dev/vport0p2 ]; do usleep 5000; done
ulimit -l unlimited
chroot /host "$AGENT" guest-agent
fail "the agent $AGENT ended"
