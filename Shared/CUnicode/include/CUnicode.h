// Text by the rules of Unicode, as ICU's root locale has them: PostgreSQL's collation "und-x-icu". All texts are UTF-8.
#pragma once
#include <stdint.h>

enum { MR_LOWER, MR_UPPER, MR_TITLE };

// Writes a text in another case. Returns the octets that it takes; where these are more than `capacity`, nothing of
// what was written counts. -1 if ICU fails.
int32_t mr_unicode_recase(int32_t form, const char *text, int32_t length, char *output, int32_t capacity);

// Which of two texts comes first in the root order: -1, 0 or 1. Different texts may be equal in it. -2 if ICU fails.
int32_t mr_unicode_compare(const char *left, int32_t left_length, const char *right, int32_t right_length);
