#define _GNU_SOURCE
#include "CLinux.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct start {
    clinux_thread_body body;
    void *context;
    char name[16];
};

static void *thread_main(void *argument) {
    struct start start = *(struct start *)argument;
    free(argument);
    pthread_setname_np(pthread_self(), start.name);
    start.body(start.context);
    return NULL;
}

int clinux_thread_start(const char *name, clinux_thread_body body, void *context, uint64_t *handle) {
    struct start *start = malloc(sizeof *start);
    if (!start) return -ENOMEM;
    *start = (struct start){.body = body, .context = context};
    strncpy(start->name, name, sizeof start->name - 1);  // the kernel keeps 15 bytes
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    // The default follows the shell's limit, and is small where that is unlimited.
    pthread_attr_setstacksize(&attributes, CLINUX_THREAD_STACK);
    pthread_t thread;
    int error = pthread_create(&thread, &attributes, thread_main, start);
    pthread_attr_destroy(&attributes);
    if (error) {
        free(start);
        return -error;
    }
    *handle = (uint64_t)thread;
    return 0;
}

void clinux_thread_join(uint64_t handle) { pthread_join((pthread_t)handle, NULL); }

static _Thread_local void *thread_slot;

void *clinux_thread_slot(void) { return thread_slot; }

void clinux_set_thread_slot(void *value) { thread_slot = value; }

int clinux_thread_id(void) { return gettid(); }
