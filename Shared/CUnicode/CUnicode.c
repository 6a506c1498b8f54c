#include "CUnicode.h"

#include <pthread.h>
#include <unicode/ucasemap.h>
#include <unicode/ucol.h>

static UCollator *root_order;
static pthread_once_t root_order_made = PTHREAD_ONCE_INIT;

static void make_root_order(void) {
    UErrorCode status = U_ZERO_ERROR;
    root_order = ucol_open("und", &status);
    if (U_FAILURE(status)) root_order = NULL;
}

// A case map finds the words of titles by an iterator that it keeps, so no two threads may use one at a time.
static UCaseMap *case_map(void) {
    static _Thread_local UCaseMap *map;
    if (map == NULL) {
        UErrorCode status = U_ZERO_ERROR;
        map = ucasemap_open("und", 0, &status);
        if (U_FAILURE(status)) map = NULL;
    }
    return map;
}

int32_t mr_unicode_recase(int32_t form, const char *text, int32_t length, char *output, int32_t capacity) {
    UCaseMap *map = case_map();
    if (map == NULL) return -1;
    UErrorCode status = U_ZERO_ERROR;
    int32_t needed = -1;
    switch (form) {
        case MR_LOWER: needed = ucasemap_utf8ToLower(map, output, capacity, text, length, &status); break;
        case MR_UPPER: needed = ucasemap_utf8ToUpper(map, output, capacity, text, length, &status); break;
        case MR_TITLE: needed = ucasemap_utf8ToTitle(map, output, capacity, text, length, &status); break;
    }
    return U_FAILURE(status) && status != U_BUFFER_OVERFLOW_ERROR ? -1 : needed;
}

int32_t mr_unicode_compare(const char *left, int32_t left_length, const char *right, int32_t right_length) {
    pthread_once(&root_order_made, make_root_order);
    if (root_order == NULL) return -2;
    UErrorCode status = U_ZERO_ERROR;
    UCollationResult order = ucol_strcollUTF8(root_order, left, left_length, right, right_length, &status);
    return U_FAILURE(status) ? -2 : order;
}
