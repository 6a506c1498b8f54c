#pragma once

#include <stdint.h>

/// `getaddrinfo` by a name server at 127.0.0.1 and this UDP port instead of the system's: the numeric addresses of the
/// name, separated by spaces, or an empty text. Blocks. `text` holds `capacity` bytes.
void cnamelookup(const char *name, uint16_t port, char *text, int capacity);
