/* Runs inside a container: makes one system call that an attacker would, and prints the errno it got (0: allowed).
 * Static, so that it needs nothing of the image. Usage: probe NAME [ARGUMENT] */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define X32_BIT 0x40000000
#ifndef __NR_clone3
#define __NR_clone3 435
#endif
#ifndef __NR_io_uring_setup
#define __NR_io_uring_setup 425
#endif
#ifndef __NR_open_by_handle_at
#define __NR_open_by_handle_at 304
#endif

static long call_i386_getpid(void) {
#ifdef __x86_64__
    long result;
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(20L) : "memory");
    return result;
#else
    return -ENOSYS;
#endif
}

static int inject(const char *path, const char *text) {
    int fd = open(path, O_RDWR | O_NOCTTY);
    if (fd < 0)
        return errno;
    for (; *text; text++)
        if (ioctl(fd, TIOCSTI, text) < 0)
            return errno;
    return 0;
}

static int file_handle(void) {
    struct {
        struct file_handle head;
        unsigned char data[64];
    } handle;
    memset(&handle, 0, sizeof handle);
    handle.head.handle_bytes = 8;
    handle.head.handle_type = 1;
    handle.data[0] = 2; /* inode 2: the root of an ext4 */
    int mount_fd = open("/etc/hostname", O_RDONLY); /* bind mounted from the host's disk */
    return syscall(__NR_open_by_handle_at, mount_fd, &handle.head, O_RDONLY) < 0 ? errno : 0;
}

static void put(const char *path, const char *text) {
    int fd = open(path, O_WRONLY);
    if (fd >= 0) {
        if (write(fd, text, strlen(text)) < 0)
            perror(path);
        close(fd);
    }
}

/* CVE-2022-0492: in a user namespace of one's own a cgroup hierarchy can be mounted, and its release_agent written. */
static int cgroup_in_user_namespace(const char *controller) {
    uid_t uid = getuid();
    char map[32];
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWCGROUP) < 0)
        return errno;
    put("/proc/self/setgroups", "deny");
    snprintf(map, sizeof map, "0 %u 1", uid);
    put("/proc/self/uid_map", map);
    if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return errno;
    return mount("cgroup", "/tmp", "cgroup", 0, controller) < 0 ? errno : 0;
}

static int check(const char *name, const char *argument) {
    errno = 0;
    long result = 0;
    if (!strcmp(name, "x32-getpid"))
        result = syscall(X32_BIT | 39);
    else if (!strcmp(name, "i386-getpid")) {
        result = call_i386_getpid();
        if (result < 0)
            errno = (int)-result;
    } else if (!strcmp(name, "clone3"))
        result = syscall(__NR_clone3, NULL, 0);
    else if (!strcmp(name, "nr-9999"))
        result = syscall(9999);
    else if (!strcmp(name, "add_key"))
        result = syscall(SYS_add_key, "user", "wherry", "x", 1, KEY_SPEC_SESSION_KEYRING);
    else if (!strcmp(name, "keyctl"))
        result = syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0);
    else if (!strcmp(name, "io_uring_setup"))
        result = syscall(__NR_io_uring_setup, 1, NULL);
    else if (!strcmp(name, "userfaultfd"))
        result = syscall(SYS_userfaultfd, 0);
    else if (!strcmp(name, "bpf"))
        result = syscall(SYS_bpf, 0, NULL, 0);
    else if (!strcmp(name, "perf_event_open"))
        result = syscall(SYS_perf_event_open, NULL, 0, -1, -1, 0);
    else if (!strcmp(name, "unshare-user"))
        result = unshare(CLONE_NEWUSER);
    else if (!strcmp(name, "unshare-mount"))
        result = unshare(CLONE_NEWNS);
    else if (!strcmp(name, "mount"))
        result = mount("none", "/tmp", "tmpfs", 0, NULL);
    else if (!strcmp(name, "kexec_load"))
        result = syscall(SYS_kexec_load, 0, 0, NULL, 0);
    else if (!strcmp(name, "af_alg"))
        result = socket(38, SOCK_SEQPACKET, 0);
    else if (!strcmp(name, "af_vsock"))
        result = socket(40, SOCK_STREAM, 0);
    else if (!strcmp(name, "open_by_handle_at"))
        return file_handle();
    else if (!strcmp(name, "mknod-disk")) {
        if (mknod("/disk", S_IFBLK | 0600, makedev(8, 0)) < 0)
            return errno;
        result = open("/disk", O_RDONLY);
    } else if (!strcmp(name, "mknod-mem")) {
        if (mknod("/mem", S_IFCHR | 0600, makedev(1, 1)) < 0)
            return errno;
        result = open("/mem", O_RDONLY);
    } else if (!strcmp(name, "mknod-fuse")) {
        if (mknod("/fuse", S_IFCHR | 0600, makedev(10, 229)) < 0)
            return errno;
        result = open("/fuse", O_RDWR);
    } else if (!strcmp(name, "tiocsti"))
        return inject("/dev/tty", argument);
    else if (!strcmp(name, "cgroup-in-userns"))
        return cgroup_in_user_namespace(argument);
    else if (!strcmp(name, "umount"))
        result = umount2(argument, MNT_DETACH);
    else {
        fprintf(stderr, "probe: unknown check %s\n", name);
        exit(2);
    }
    return result < 0 ? errno : 0;
}

int main(int count, char **arguments) {
    for (int i = 1; i < count; i++) {
        char *argument = strchr(arguments[i], '=');
        if (argument)
            *argument++ = 0;
        int found = check(arguments[i], argument ? argument : "");
        printf("%s %d\n", arguments[i], found);
    }
    return 0;
}
