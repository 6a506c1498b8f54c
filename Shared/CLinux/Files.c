#define _GNU_SOURCE
#include "CLinux.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int clinux_open_directory(const char *path) {
    int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

static void copy_state(const struct stat *from, struct clinux_file_state *to) {
    to->size = from->st_size;
    to->device = from->st_dev;
    to->inode = from->st_ino;
    to->modified_seconds = from->st_mtim.tv_sec;
    to->modified_nanoseconds = from->st_mtim.tv_nsec;
    to->changed_seconds = from->st_ctim.tv_sec;
    to->changed_nanoseconds = from->st_ctim.tv_nsec;
}

static int refusal(mode_t mode) {
    if (S_ISREG(mode)) return 0;
    if (S_ISDIR(mode)) return -EISDIR;
    return S_ISLNK(mode) ? -ELOOP : -ENXIO;
}

/// Looks before it opens, since opening alone wakes who waits at a FIFO and moves some devices; and again after it, for
/// the name may have been given to something else in between, which O_NONBLOCK keeps from making us wait.
static int open_regular(int directory, const char *name, struct clinux_file_state *state) {
    struct stat status;
    if (fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) < 0) return -errno;
    int refused = refusal(status.st_mode);
    if (refused < 0) return refused;
    int fd = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0) return -errno;
    refused = fstat(fd, &status) < 0 ? -errno : refusal(status.st_mode);
    if (refused < 0) {
        close(fd);
        return refused;
    }
    copy_state(&status, state);
    return fd;
}

int clinux_open_below(int directory, const char *path, struct clinux_file_state *state) {
    char name[NAME_MAX + 1];
    int at = directory, outcome;
    for (;;) {
        size_t length = strcspn(path, "/");
        outcome = length == 0 || path[0] == '.' ? -ENOENT : length > NAME_MAX ? -ENAMETOOLONG : 0;
        if (outcome < 0) break;
        memcpy(name, path, length);
        name[length] = 0;
        path += length;
        if (*path == 0) {
            outcome = open_regular(at, name, state);
            break;
        }
        path += 1;
        int next = openat(at, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (next < 0) {
            outcome = -errno;
            break;
        }
        if (at != directory) close(at);
        at = next;
    }
    if (at != directory) close(at);
    return outcome;
}

int clinux_file_state_now(int fd, struct clinux_file_state *state) {
    struct stat status;
    if (fstat(fd, &status) < 0) return -errno;
    copy_state(&status, state);
    return 0;
}

ssize_t clinux_read_at(int fd, void *buffer, size_t length, int64_t offset) {
    size_t done = 0;
    while (done < length) {
        ssize_t count = pread(fd, (char *)buffer + done, length - done, offset + (off_t)done);
        if (count == 0) break;
        if (count > 0) {
            done += (size_t)count;
        } else if (errno != EINTR) {
            return -errno;
        }
    }
    return (ssize_t)done;
}
