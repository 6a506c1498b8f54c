#include "CBareParse.h"
#include <simdjson.h>

size_t bare_parse(const uint8_t *text, size_t size) {
    simdjson::dom::parser parser;
    simdjson::dom::document_stream stream;
    if (parser.parse_many(text, size, 1 << 20).get(stream) != simdjson::SUCCESS) return 0;
    size_t count = 0;
    for (auto document : stream) count += document.error() == simdjson::SUCCESS;
    return count;
}
