#pragma once

// libcurl, and what Swift cannot say to it: its functions with a variable argument, the casts of socket addresses, and
// the sockets themselves.

#include <curl/curl.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

// MARK: options of a transfer

static inline CURLcode ccurl_set_long(CURL *easy, CURLoption option, long value) {
    return curl_easy_setopt(easy, option, value);
}

static inline CURLcode ccurl_set_offset(CURL *easy, CURLoption option, curl_off_t value) {
    return curl_easy_setopt(easy, option, value);
}

/// libcurl copies the text.
static inline CURLcode ccurl_set_text(CURL *easy, CURLoption option, const char *value) {
    return curl_easy_setopt(easy, option, value);
}

/// Data for a callback, or something else that the caller keeps.
static inline CURLcode ccurl_set_pointer(CURL *easy, CURLoption option, void *value) {
    return curl_easy_setopt(easy, option, value);
}

/// CURLOPT_WRITEFUNCTION, CURLOPT_HEADERFUNCTION and CURLOPT_READFUNCTION, which are of one type.
static inline CURLcode ccurl_set_stream(CURL *easy, CURLoption option, curl_write_callback callback) {
    return curl_easy_setopt(easy, option, callback);
}

static inline CURLcode ccurl_set_seek(CURL *easy, curl_seek_callback callback) {
    return curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, callback);
}

static inline CURLcode ccurl_set_open_socket(CURL *easy, curl_opensocket_callback callback) {
    return curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, callback);
}

static inline CURLcode ccurl_set_resolver_start(CURL *easy, curl_resolver_start_callback callback) {
    return curl_easy_setopt(easy, CURLOPT_RESOLVER_START_FUNCTION, callback);
}

// MARK: what a transfer knows

static inline CURLcode ccurl_get_long(CURL *easy, CURLINFO info, long *value) {
    return curl_easy_getinfo(easy, info, value);
}

/// The text is the transfer's; null where there is none.
static inline CURLcode ccurl_get_text(CURL *easy, CURLINFO info, const char **value) {
    return curl_easy_getinfo(easy, info, value);
}

static inline CURLcode ccurl_get_pointer(CURL *easy, void **value) {
    return curl_easy_getinfo(easy, CURLINFO_PRIVATE, value);
}

// MARK: options of a set of transfers

static inline CURLMcode ccurl_multi_set_long(CURLM *multi, CURLMoption option, long value) {
    return curl_multi_setopt(multi, option, value);
}

static inline CURLMcode ccurl_multi_set_pointer(CURLM *multi, CURLMoption option, void *value) {
    return curl_multi_setopt(multi, option, value);
}

static inline CURLMcode ccurl_multi_set_socket(CURLM *multi, curl_socket_callback callback) {
    return curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, callback);
}

static inline CURLMcode ccurl_multi_set_timer(CURLM *multi, curl_multi_timer_callback callback) {
    return curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, callback);
}

/// The next finished transfer and its result; null when there is none.
static inline CURL *ccurl_multi_finished(CURLM *multi, CURLcode *result) {
    int left = 0;
    const CURLMsg *message = curl_multi_info_read(multi, &left);
    while (message && message->msg != CURLMSG_DONE) message = curl_multi_info_read(multi, &left);
    if (!message) return NULL;
    *result = message->data.result;
    return message->easy_handle;
}

// MARK: sockets

/// The address that a TCP connection is about to be made to, in network order: 4 or 16 octets, whose number is
/// returned; 0 for everything else.
static inline int ccurl_tcp_address(const struct curl_sockaddr *target, uint8_t octets[16]) {
    if (target->socktype != SOCK_STREAM || target->protocol != IPPROTO_TCP) return 0;
    if (target->family != target->addr.sa_family) return 0;
    if (target->family == AF_INET && target->addrlen >= sizeof(struct sockaddr_in)) {
        struct sockaddr_in v4;
        memcpy(&v4, &target->addr, sizeof v4);
        memcpy(octets, &v4.sin_addr, 4);
        return 4;
    }
    if (target->family == AF_INET6 && target->addrlen >= sizeof(struct sockaddr_in6)) {
        struct sockaddr_in6 v6;
        memcpy(&v6, &target->addr, sizeof v6);
        memcpy(octets, &v6.sin6_addr, 16);
        return 16;
    }
    return 0;
}

/// A socket for the target, which no child process inherits; CURL_SOCKET_BAD when there is none to be had.
static inline curl_socket_t ccurl_open_socket(const struct curl_sockaddr *target) {
    return socket(target->family, target->socktype | SOCK_CLOEXEC, target->protocol);
}
