#pragma once

// Linux system calls that Swift's Glibc module does not show, in a form Swift can import: no packed structs, no
// unions, no variadic functions, no errno (a failure is returned as its negative number).

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// MARK: epoll

enum {
    CLINUX_EPOLL_IN = 0x001,
    CLINUX_EPOLL_OUT = 0x004,
    CLINUX_EPOLL_ERR = 0x008,
    CLINUX_EPOLL_HUP = 0x010,
    CLINUX_EPOLL_RDHUP = 0x2000,
    /// How many events one call of `clinux_epoll_wait` returns at most.
    CLINUX_EPOLL_BATCH = 256,
};

/// One readiness event. `key` is what the descriptor was registered with.
struct clinux_event {
    uint64_t key;
    uint32_t events;
};

int clinux_epoll_create(void);
/// Registers edge-triggered; `exclusive` adds EPOLLEXCLUSIVE (only EPOLL_IN is meaningful then).
int clinux_epoll_add(int epoll, int fd, uint32_t events, uint64_t key, _Bool exclusive);
/// Changes the interest and looks at the descriptor's state again: what is ready now is reported again.
int clinux_epoll_rearm(int epoll, int fd, uint32_t events, uint64_t key);
/// Registers or changes, level-triggered: what is ready is reported until it no longer is.
int clinux_epoll_set_level(int epoll, int fd, uint32_t events, uint64_t key);
int clinux_epoll_remove(int epoll, int fd);
/// Waits at most `timeout_ms` (-1: for ever). `events` holds CLINUX_EPOLL_BATCH entries. EINTR counts as no event.
int clinux_epoll_wait(int epoll, struct clinux_event *events, int timeout_ms);

// MARK: wake-ups

int clinux_eventfd(void);
void clinux_eventfd_signal(int fd);
void clinux_eventfd_drain(int fd);

// MARK: sockets

/// A bound, listening, non-blocking TCP socket, or -errno. `address` is a numeric IPv4 or IPv6 address.
int clinux_listen_tcp(const char *address, uint16_t port, int backlog);
/// The local port of a socket, or -errno.
int clinux_local_port(int fd);
/// A non-blocking, close-on-exec connection with TCP_NODELAY, or -errno. `peer` takes the numeric address of the
/// other side, at most `peer_length` bytes with its NUL.
int clinux_accept(int listener, char *peer, size_t peer_length);
/// A blocking TCP connection to a numeric address, or -errno.
int clinux_connect_tcp(const char *address, uint16_t port);
ssize_t clinux_receive(int fd, void *buffer, size_t length);
/// How many bytes can be read now; 0 if that is not known.
size_t clinux_readable_bytes(int fd);
/// Whether the peer of a stream socket will send no more, or has gone; what it sent before may still lie unread.
_Bool clinux_peer_has_ended(int fd);
/// Sends with MSG_NOSIGNAL: a closed peer is -EPIPE, never a signal.
ssize_t clinux_send(int fd, const void *buffer, size_t length);
/// Sends three buffers, of which any may be empty, as one write in order, with MSG_NOSIGNAL.
ssize_t clinux_send_parts(int fd, const void *first, size_t first_length, const void *second, size_t second_length,
                          const void *third, size_t third_length);
/// Shuts down the writing side: what was written is delivered, then the peer reads an end.
int clinux_shutdown_write(int fd);
int clinux_set_nonblocking(int fd);
int clinux_close(int fd);

// MARK: files

/// A regular file's size, and what changes when it or its content does.
struct clinux_file_state {
    int64_t size;
    uint64_t device;
    uint64_t inode;
    int64_t modified_seconds;
    int64_t modified_nanoseconds;
    int64_t changed_seconds;
    int64_t changed_nanoseconds;
};

/// A directory to look files up from, or -errno.
int clinux_open_directory(const char *path);
/// Opens the regular file at a relative path below a directory for reading, or -errno. No part of the path may be a
/// symbolic link (-ELOOP, or -ENOTDIR where it is not the last), empty, or begin with a dot (-ENOENT), so that the
/// path leads nowhere else whoever changes the tree meanwhile. -EISDIR for a directory; -ENXIO for FIFOs, sockets and
/// devices, which are not opened. (openat2 does as much in one call, but is refused in some containers.)
int clinux_open_below(int directory, const char *path, struct clinux_file_state *state);
/// The state of an open file now; 0 or -errno.
int clinux_file_state_now(int fd, struct clinux_file_state *state);
/// Reads from an offset until the buffer is full or the file ends: how many bytes, or -errno.
ssize_t clinux_read_at(int fd, void *buffer, size_t length, int64_t offset);

// MARK: time

/// Seconds since 1970, without a system call.
int64_t clinux_wall_seconds(void);
/// CLOCK_MONOTONIC.
int64_t clinux_monotonic_nanoseconds(void);

// MARK: threads

/// Bytes of stack that a thread gets, whatever the process's limit says.
enum { CLINUX_THREAD_STACK = 8 << 20 };

typedef void (*clinux_thread_body)(void *context);
/// Starts a detached or joinable thread; `handle` is for `clinux_thread_join`. 0 or -errno.
int clinux_thread_start(const char *name, clinux_thread_body body, void *context, uint64_t *handle);
void clinux_thread_join(uint64_t handle);
/// A slot of this thread for the event loop that runs on it.
void *clinux_thread_slot(void);
void clinux_set_thread_slot(void *value);
/// The kernel's id of the calling thread.
int clinux_thread_id(void);

// MARK: signals

/// The process's close-on-exec pipe, its read end, to which every arriving signal that is watched is
/// written as one byte, or -errno.
/// One watch at a time: -EBUSY otherwise. (A self-pipe, not a signalfd: that needs the signal blocked in every
/// thread, and the runtime's threads exist before main runs.)
int clinux_signal_watch_open(void);
int clinux_signal_watch_add(int signal);
/// Wakes the reader with byte 0, so that it ends.
void clinux_signal_watch_wake(void);
/// Blocks for the next byte: a signal's number, 0 when woken, -errno.
int clinux_signal_watch_next(int fd);
/// Ends the process at once, without exit handlers.
void clinux_exit(int status);
/// Restores the handlers that were there before.
void clinux_signal_watch_close(void);
