"""The syntax of names, labels and annotation keys (k8s.io/apimachinery/pkg/util/validation), as messages.

Each `check_…` returns what is wrong with a text, or None.
"""

from __future__ import annotations

import re

LABEL_CHARS_MAX = 63
SUBDOMAIN_CHARS_MAX = 253
ANNOTATIONS_BYTES_MAX = 256 * 1024

_DNS1123_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_DNS1035_LABEL = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_DNS1123_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_QUALIFIED = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
_LABEL_VALUE = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")
_ENV_NAME = re.compile(r"[ -<>-~]+")  # printable ASCII without "="
_CONFIG_KEY = re.compile(r"[-._a-zA-Z0-9]+")
_PORT_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")


def check_dns1123_label(text: str) -> str | None:
    if len(text) > LABEL_CHARS_MAX:
        return f"must be no more than {LABEL_CHARS_MAX} characters"
    if _DNS1123_LABEL.fullmatch(text):
        return None
    return (
        "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end "
        "with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
        f"'{_DNS1123_LABEL.pattern}')"
    )


def check_dns1035_label(text: str) -> str | None:
    if len(text) > LABEL_CHARS_MAX:
        return f"must be no more than {LABEL_CHARS_MAX} characters"
    if _DNS1035_LABEL.fullmatch(text):
        return None
    return (
        "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic "
        "character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation "
        f"is '{_DNS1035_LABEL.pattern}')"
    )


def check_dns1123_subdomain(text: str) -> str | None:
    if len(text) > SUBDOMAIN_CHARS_MAX:
        return f"must be no more than {SUBDOMAIN_CHARS_MAX} characters"
    if _DNS1123_SUBDOMAIN.fullmatch(text):
        return None
    return (
        "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start "
        "and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
        f"'{_DNS1123_SUBDOMAIN.pattern}')"
    )


def check_qualified_name(text: str) -> str | None:
    """A label or annotation key, a finalizer, a condition type: `[prefix/]name`."""
    prefix, slash, name = text.rpartition("/")
    if slash and not prefix:
        return "prefix part must be non-empty"
    if prefix and (problem := check_dns1123_subdomain(prefix)):
        return f"prefix part {problem}"
    if not name:
        return "name part must be non-empty"
    if len(name) > LABEL_CHARS_MAX:
        return f"name part must be no more than {LABEL_CHARS_MAX} characters"
    if _QUALIFIED.fullmatch(name):
        return None
    return (
        "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
        "alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
        f"'{_QUALIFIED.pattern}')"
    )


def check_label_value(text: str) -> str | None:
    if len(text) > LABEL_CHARS_MAX:
        return f"must be no more than {LABEL_CHARS_MAX} characters"
    if _LABEL_VALUE.fullmatch(text):
        return None
    return (
        "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start "
        "and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for "
        f"validation is '{_LABEL_VALUE.pattern}')"
    )


def check_env_name(text: str) -> str | None:
    if _ENV_NAME.fullmatch(text):
        return None
    return "a valid environment variable name must consist only of printable ASCII characters other than '='"


def check_config_key(text: str) -> str | None:
    """A key of a ConfigMap's or Secret's data; it may become a file's name."""
    if len(text) > SUBDOMAIN_CHARS_MAX:
        return f"must be no more than {SUBDOMAIN_CHARS_MAX} characters"
    if text == "." or text.startswith(".."):
        return "must not be '.' and must not start with '..'"
    if _CONFIG_KEY.fullmatch(text):
        return None
    return (
        "a valid config key must consist of alphanumeric characters, '-', '_' or '.' "
        "(e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is "
        f"'{_CONFIG_KEY.pattern}')"
    )


def check_port_name(text: str) -> str | None:
    """An IANA service name: at most 15 characters, at least one letter, no double hyphen."""
    if len(text) > 15:
        return "must be no more than 15 characters"
    if not _PORT_NAME.fullmatch(text):
        return "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)"
    if not any(c.isalpha() for c in text):
        return "must contain at least one letter (a-z)"
    if "--" in text:
        return "must not contain consecutive hyphens"
    return None


def check_port(number: int) -> str | None:
    return None if 1 <= number <= 65535 else "must be between 1 and 65535, inclusive"
