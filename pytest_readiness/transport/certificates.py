"""What is wrong with a server's certificate, in words; OpenSSL's own differ by version.

PYTEST_DONT_REWRITE
"""

import ssl

# OpenSSL's X509_V_ERR_*, the ones a person can act on (openssl-verification-options(1)).
_SAYS = {
    9: "the server's certificate is not valid yet",
    10: "the server's certificate has expired",
    18: "the server's certificate is self-signed and not in the CA file",
    19: "the server's certificate chain ends in a CA that is not in the CA file",
    20: "the server's certificate is signed by a CA that is not in the CA file",
    21: "the server's certificate is signed by a CA that is not in the CA file",
    62: "the server's certificate is for another host name",
    64: "the server's certificate is for another IP address",
}


def says(error: ssl.SSLCertVerificationError) -> str:
    """Return one line that says why the certificate is not trusted."""
    return _SAYS.get(error.verify_code, error.verify_message)
