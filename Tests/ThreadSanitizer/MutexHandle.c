// Shows the thread sanitizer what a contended Mutex orders.
//
// `Mutex` of Swift's Synchronization module is a futex (FUTEX_LOCK_PI). Taking it free, and giving it back with nobody
// waiting, are atomic operations that the compiler emits into the caller, so the sanitizer sees them. Where threads
// meet, both go through functions in libswiftSynchronization.so, which is not instrumented, to the kernel, which cannot
// be: the sanitizer then believes that the next owner was not told of what the last one wrote. These functions take the
// place of the library's in a program that is built with the sanitizer: they say so, and go on to the library's.
#include "CThreadSanitizer.h"

bool thread_sanitizer_is_on(void) { return __has_feature(thread_sanitizer); }

#if __has_feature(thread_sanitizer)
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>

#define SWIFT __attribute__((swiftcall))
#define SELF __attribute__((swift_context))
// Synchronization._MutexHandle._lockSlow(_: UInt32), ._tryLockSlow() -> Bool, ._unlockSlow()
#define LOCK "$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF"
#define TRY_LOCK "$s15Synchronization12_MutexHandleV12_tryLockSlowSbyF"
#define UNLOCK "$s15Synchronization12_MutexHandleV11_unlockSlowyyF"

void __tsan_acquire(void *address);
void __tsan_release(void *address);

SWIFT void mutex_lock_slow(uint32_t thread, SELF void *mutex) __asm__(LOCK);
SWIFT bool mutex_try_lock_slow(SELF void *mutex) __asm__(TRY_LOCK);
SWIFT void mutex_unlock_slow(SELF void *mutex) __asm__(UNLOCK);

static void *library(const char *name) {
    void *function = dlsym(RTLD_NEXT, name);
    if (function == NULL) abort();
    return function;
}

SWIFT void mutex_lock_slow(uint32_t thread, SELF void *mutex) {
    ((SWIFT void (*)(uint32_t, SELF void *))library(LOCK))(thread, mutex);
    __tsan_acquire(mutex);
}

SWIFT bool mutex_try_lock_slow(SELF void *mutex) {
    bool locked = ((SWIFT bool (*)(SELF void *))library(TRY_LOCK))(mutex);
    if (locked) __tsan_acquire(mutex);
    return locked;
}

SWIFT void mutex_unlock_slow(SELF void *mutex) {
    __tsan_release(mutex);
    ((SWIFT void (*)(SELF void *))library(UNLOCK))(mutex);
}
#endif
