/// jemalloc in glibc's place, for the executables that depend on this: pages that were freed are used again by arrays
/// of any size, and go back to the system after three seconds. glibc either maps and unmaps each array (a load then
/// spends a tenth of its time on page faults), or keeps what a hundred uploads once needed.
#ifndef CALLOCATOR_H
#define CALLOCATOR_H

/// What jemalloc reads when the process starts (its manual, "TUNING"); the variable MALLOC_CONF goes before it.
extern const char *malloc_conf;

#endif
