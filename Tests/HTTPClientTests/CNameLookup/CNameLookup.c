#define _GNU_SOURCE
#include "CNameLookup.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <resolv.h>
#include <string.h>

struct lookup {
    const char *name;
    uint16_t port;
    char *text;
    int capacity;
};

// glibc keeps the resolver's state a thread, and leaves one alone that the program has changed. So the change is made
// on a thread of its own.
static void *run(void *context) {
    struct lookup *lookup = context;
    if (res_init() != 0) return NULL;
    _res.nscount = 1;
    _res.nsaddr_list[0] = (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(lookup->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
    if (getaddrinfo(lookup->name, NULL, &hints, &list) == 0) {
        for (struct addrinfo *entry = list; entry; entry = entry->ai_next) {
            size_t used = strlen(lookup->text);
            if (used > 0) strncat(lookup->text, " ", (size_t)lookup->capacity - used - 1);
            used = strlen(lookup->text);
            socklen_t room = (socklen_t)(lookup->capacity - (int)used);
            getnameinfo(entry->ai_addr, entry->ai_addrlen, lookup->text + used, room, NULL, 0, NI_NUMERICHOST);
        }
        freeaddrinfo(list);
    }
    res_nclose(&_res);
    return NULL;
}

void cnamelookup(const char *name, uint16_t port, char *text, int capacity) {
    struct lookup lookup = {.name = name, .port = port, .text = text, .capacity = capacity};
    pthread_t thread;
    text[0] = 0;
    if (pthread_create(&thread, NULL, run, &lookup) == 0) pthread_join(thread, NULL);
}
