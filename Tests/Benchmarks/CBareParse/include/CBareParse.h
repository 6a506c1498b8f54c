// What simdjson alone needs for the same bytes: the limit of any reader that stands on it.
#pragma once
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// Parses each line of NDJSON into simdjson's document and looks at nothing in it. Gives how many lines are JSON.
// `text` has 64 readable bytes behind `size`.
size_t bare_parse(const uint8_t *text, size_t size);

#ifdef __cplusplus
}
#endif
