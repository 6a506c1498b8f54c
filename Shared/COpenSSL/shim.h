#pragma once
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <time.h>

// What OpenSSL has as macros that Swift cannot import.

static const uint64_t COPENSSL_OP_NO_RENEGOTIATION = SSL_OP_NO_RENEGOTIATION;
static const uint64_t COPENSSL_OP_NO_COMPRESSION = SSL_OP_NO_COMPRESSION;
static const uint64_t COPENSSL_OP_NO_TICKET = SSL_OP_NO_TICKET;
static const uint64_t COPENSSL_OP_CIPHER_SERVER_PREFERENCE = SSL_OP_CIPHER_SERVER_PREFERENCE;
static const uint64_t COPENSSL_OP_ALLOW_UNSAFE_LEGACY_RENEGOTIATION = SSL_OP_ALLOW_UNSAFE_LEGACY_RENEGOTIATION;
static const uint64_t COPENSSL_OP_ALLOW_CLIENT_RENEGOTIATION = SSL_OP_ALLOW_CLIENT_RENEGOTIATION;

static inline int copenssl_set_versions(SSL_CTX *context, int lowest, int highest) {
    return SSL_CTX_set_min_proto_version(context, lowest) && SSL_CTX_set_max_proto_version(context, highest);
}

static inline int copenssl_set_groups(SSL_CTX *context, const char *list) {
    return (int)SSL_CTX_set1_groups_list(context, list);
}

/// Diffie-Hellman in a group as strong as the certificate's key.
static inline int copenssl_set_dh_auto(SSL_CTX *context) { return (int)SSL_CTX_set_dh_auto(context, 1); }

static inline void copenssl_set_mode(SSL_CTX *context, unsigned mode) { SSL_CTX_set_mode(context, mode); }

static inline void copenssl_set_read_ahead(SSL_CTX *context) { SSL_CTX_set_read_ahead(context, 1); }

static inline void copenssl_set_no_session_cache(SSL_CTX *context) {
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
}

/// Takes over the certificate where it succeeds.
static inline int copenssl_add_chain_certificate(SSL_CTX *context, X509 *certificate) {
    return (int)SSL_CTX_add0_chain_cert(context, certificate);
}

/// Seconds since 1970.
static inline int64_t copenssl_expiry(const X509 *certificate) {
    struct tm time;
    return ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &time) == 1 ? (int64_t)timegm(&time) : 0;
}

// SHA-256 whose state is a plain value: OpenSSL 3 prefers contexts on the heap, one allocation a hash at least.

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

static inline void copenssl_sha256_begin(SHA256_CTX *context) { SHA256_Init(context); }

static inline void copenssl_sha256_update(SHA256_CTX *context, const void *bytes, size_t count) {
    SHA256_Update(context, bytes, count);
}

static inline void copenssl_sha256_end(SHA256_CTX *context, void *digest) { SHA256_Final(digest, context); }

#pragma GCC diagnostic pop
