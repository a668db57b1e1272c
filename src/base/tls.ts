/**
 * Cipher suites that our TLS listeners offer for TLS 1.2, in OpenSSL's notation. All of them have
 * forward secrecy and authenticated encryption, as the CIS Kubernetes Benchmark asks (1.2.29,
 * 4.2.12). The suites of TLS 1.3 are all of this kind.
 */
export const TLS_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20";
