#pragma once
#include <stddef.h>
#include <stdint.h>

/// One migration as embedded at compile time. The bytes live as long as the process.
struct millrace_migration_file {
    const char *_Nonnull name;
    const uint8_t *_Nonnull bytes;
    size_t length;
};

/// How many migrations there are.
size_t millrace_migration_count(void);

/// The migration at a place in their order; the index must be below the count.
struct millrace_migration_file millrace_migration_at(size_t index);
