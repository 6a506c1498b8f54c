#define _GNU_SOURCE
#include "CLinux.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <unistd.h>

// Signal dispositions belong to the process, so the watch does too. The pipe is made once and never closed: a handler
// may still be running on another thread when a watch ends, and its number must not have been given to another file.
static atomic_int write_end = -1;
static int read_end = -1;
static atomic_flag taken = ATOMIC_FLAG_INIT;
static struct sigaction previous[NSIG];
static _Bool watched[NSIG];

static void on_signal(int signal) {
    int saved = errno;
    int fd = atomic_load(&write_end);
    unsigned char byte = (unsigned char)signal;
    if (fd >= 0) {
        ssize_t written = write(fd, &byte, 1);  // non-blocking: a full pipe holds enough signals already
        (void)written;
    }
    errno = saved;
}

// What an earlier watch left unread must not reach this one.
static void discard_stale(void) {
    int available = 0;
    unsigned char byte;
    while (ioctl(read_end, FIONREAD, &available) == 0 && available > 0) {
        if (read(read_end, &byte, 1) != 1) return;
    }
}

int clinux_signal_watch_open(void) {
    if (atomic_flag_test_and_set(&taken)) return -EBUSY;
    if (read_end < 0) {
        int ends[2];
        if (pipe2(ends, O_CLOEXEC) < 0) {
            int error = errno;
            atomic_flag_clear(&taken);
            return -error;
        }
        fcntl(ends[1], F_SETFL, O_NONBLOCK);
        read_end = ends[0];
        atomic_store(&write_end, ends[1]);
    }
    discard_stale();
    return read_end;
}

int clinux_signal_watch_add(int signal) {
    if (signal <= 0 || signal >= NSIG) return -EINVAL;
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    if (sigaction(signal, &action, &previous[signal]) < 0) return -errno;
    watched[signal] = 1;
    return 0;
}

void clinux_signal_watch_wake(void) {
    unsigned char byte = 0;
    ssize_t written = write(atomic_load(&write_end), &byte, 1);
    (void)written;
}

int clinux_signal_watch_next(int fd) {
    unsigned char byte;
    for (;;) {
        ssize_t count = read(fd, &byte, 1);
        if (count == 1) return byte;
        if (count == 0) return -EPIPE;
        if (errno != EINTR) return -errno;
    }
}

void clinux_signal_watch_close(void) {
    for (int signal = 1; signal < NSIG; signal++) {
        if (!watched[signal]) continue;
        sigaction(signal, &previous[signal], NULL);
        watched[signal] = 0;
    }
    atomic_flag_clear(&taken);
}

void clinux_exit(int status) { _exit(status); }
