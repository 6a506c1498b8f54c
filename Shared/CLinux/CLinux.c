#define _GNU_SOURCE
#include "CLinux.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

_Static_assert(CLINUX_EPOLL_IN == EPOLLIN && CLINUX_EPOLL_OUT == EPOLLOUT, "epoll's numbers");
_Static_assert(CLINUX_EPOLL_ERR == EPOLLERR && CLINUX_EPOLL_HUP == EPOLLHUP, "epoll's numbers");
_Static_assert(CLINUX_EPOLL_RDHUP == EPOLLRDHUP, "epoll's numbers");

static int result(int value) { return value < 0 ? -errno : value; }

int clinux_epoll_create(void) { return result(epoll_create1(EPOLL_CLOEXEC)); }

int clinux_epoll_add(int epoll, int fd, uint32_t events, uint64_t key, _Bool exclusive) {
    struct epoll_event event = {.events = events | EPOLLET, .data.u64 = key};
    if (exclusive) event.events |= EPOLLEXCLUSIVE;
    return result(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
}

int clinux_epoll_rearm(int epoll, int fd, uint32_t events, uint64_t key) {
    struct epoll_event event = {.events = events | EPOLLET, .data.u64 = key};
    return result(epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &event));
}

int clinux_epoll_set_level(int epoll, int fd, uint32_t events, uint64_t key) {
    struct epoll_event event = {.events = events, .data.u64 = key};
    int changed = epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &event);
    if (changed < 0 && errno == ENOENT) changed = epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
    return result(changed);
}

int clinux_epoll_remove(int epoll, int fd) {
    struct epoll_event event = {0};
    return result(epoll_ctl(epoll, EPOLL_CTL_DEL, fd, &event));
}

int clinux_epoll_wait(int epoll, struct clinux_event *events, int timeout_ms) {
    struct epoll_event ready[CLINUX_EPOLL_BATCH];
    int count = epoll_wait(epoll, ready, CLINUX_EPOLL_BATCH, timeout_ms);
    if (count < 0) return errno == EINTR ? 0 : -errno;
    for (int i = 0; i < count; i++) {
        events[i].key = ready[i].data.u64;
        events[i].events = ready[i].events;
    }
    return count;
}

int clinux_eventfd(void) { return result(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)); }

void clinux_eventfd_signal(int fd) {
    uint64_t one = 1;
    // Only fails when the counter is full, and then the reader is awake already.
    ssize_t written = write(fd, &one, sizeof one);
    (void)written;
}

void clinux_eventfd_drain(int fd) {
    uint64_t value;
    ssize_t count = read(fd, &value, sizeof value);
    (void)count;
}

static int numeric_address(const char *address, uint16_t port, struct sockaddr_storage *storage, socklen_t *length) {
    memset(storage, 0, sizeof *storage);
    struct sockaddr_in *v4 = (struct sockaddr_in *)storage;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)storage;
    if (inet_pton(AF_INET, address, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(port);
        *length = sizeof *v4;
        return 0;
    }
    if (inet_pton(AF_INET6, address, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(port);
        *length = sizeof *v6;
        return 0;
    }
    return -EINVAL;
}

int clinux_listen_tcp(const char *address, uint16_t port, int backlog) {
    struct sockaddr_storage storage;
    socklen_t length = 0;
    int one = 1, status = numeric_address(address, port, &storage, &length);
    if (status < 0) return status;
    int fd = socket(storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) < 0 ||
        bind(fd, (struct sockaddr *)&storage, length) < 0 || listen(fd, backlog) < 0) {
        status = -errno;
        close(fd);
        return status;
    }
    return fd;
}

int clinux_local_port(int fd) {
    struct sockaddr_storage storage;
    socklen_t length = sizeof storage;
    if (getsockname(fd, (struct sockaddr *)&storage, &length) < 0) return -errno;
    if (storage.ss_family == AF_INET) return ntohs(((struct sockaddr_in *)&storage)->sin_port);
    if (storage.ss_family == AF_INET6) return ntohs(((struct sockaddr_in6 *)&storage)->sin6_port);
    return -EAFNOSUPPORT;
}

int clinux_accept(int listener, char *peer, size_t peer_length) {
    struct sockaddr_storage storage;
    socklen_t length = sizeof storage;
    int one = 1;
    int fd = accept4(listener, (struct sockaddr *)&storage, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return -errno;
    if (peer_length > 0) peer[0] = 0;
    if (storage.ss_family == AF_INET) {
        inet_ntop(AF_INET, &((struct sockaddr_in *)&storage)->sin_addr, peer, (socklen_t)peer_length);
    } else if (storage.ss_family == AF_INET6) {
        inet_ntop(AF_INET6, &((struct sockaddr_in6 *)&storage)->sin6_addr, peer, (socklen_t)peer_length);
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

int clinux_connect_tcp(const char *address, uint16_t port) {
    struct sockaddr_storage storage;
    socklen_t length = 0;
    int one = 1, status = numeric_address(address, port, &storage, &length);
    if (status < 0) return status;
    int fd = socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
    if (connect(fd, (struct sockaddr *)&storage, length) < 0) {
        status = -errno;
        close(fd);
        return status;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

ssize_t clinux_receive(int fd, void *buffer, size_t length) {
    for (;;) {
        ssize_t count = recv(fd, buffer, length, 0);
        if (count >= 0) return count;
        if (errno != EINTR) return -errno;
    }
}

size_t clinux_readable_bytes(int fd) {
    int count = 0;
    return ioctl(fd, FIONREAD, &count) == 0 && count > 0 ? (size_t)count : 0;
}

_Bool clinux_peer_has_ended(int fd) {
    struct pollfd polled = {.fd = fd, .events = POLLRDHUP};
    return poll(&polled, 1, 0) > 0;
}

ssize_t clinux_send(int fd, const void *buffer, size_t length) {
    for (;;) {
        ssize_t count = send(fd, buffer, length, MSG_NOSIGNAL);
        if (count >= 0) return count;
        if (errno != EINTR) return -errno;
    }
}

ssize_t clinux_send_parts(int fd, const void *first, size_t first_length, const void *second, size_t second_length,
                          const void *third, size_t third_length) {
    struct iovec parts[3] = {
        {.iov_base = (void *)first, .iov_len = first_length},
        {.iov_base = (void *)second, .iov_len = second_length},
        {.iov_base = (void *)third, .iov_len = third_length},
    };
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 3};
    for (;;) {
        ssize_t count = sendmsg(fd, &message, MSG_NOSIGNAL);
        if (count >= 0) return count;
        if (errno != EINTR) return -errno;
    }
}

int clinux_shutdown_write(int fd) { return result(shutdown(fd, SHUT_WR)); }

int clinux_set_nonblocking(int fd) {
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0) return -errno;
    return (flags & O_NONBLOCK) ? 0 : result(fcntl(fd, F_SETFL, flags | O_NONBLOCK));
}

int clinux_close(int fd) { return result(close(fd)); }

int64_t clinux_wall_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    return now.tv_sec;
}

int64_t clinux_monotonic_nanoseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000 + now.tv_nsec;
}
