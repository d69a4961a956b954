"""Credentials go to Zoho's documented hosts, or to where a person has pointed them, and nowhere else."""

from __future__ import annotations

import pytest

from massconvert.errors import SettingsError
from massconvert.loopback import is_loopback
from massconvert.zoho.datacenters import (
    DATA_CENTERS,
    Hosts,
    documented_api_domain,
    is_zoho_host,
    resolve,
)


@pytest.mark.parametrize(
    ("name", "accounts", "api"),
    [
        ("us", "https://accounts.zoho.com", "https://www.zohoapis.com"),
        ("eu", "https://accounts.zoho.eu", "https://www.zohoapis.eu"),
        ("in", "https://accounts.zoho.in", "https://www.zohoapis.in"),
        ("au", "https://accounts.zoho.com.au", "https://www.zohoapis.com.au"),
        ("cn", "https://accounts.zoho.com.cn", "https://www.zohoapis.com.cn"),
        ("jp", "https://accounts.zoho.jp", "https://www.zohoapis.jp"),
        ("ca", "https://accounts.zohocloud.ca", "https://www.zohoapis.ca"),
        ("sa", "https://accounts.zoho.sa", "https://www.zohoapis.sa"),
        (" EU ", "https://accounts.zoho.eu", "https://www.zohoapis.eu"),
    ],
)
def test_each_data_centre_has_its_two_hosts(name: str, accounts: str, api: str) -> None:
    assert resolve(name) == Hosts(accounts, api)


def test_an_unknown_data_centre_is_told_with_the_known_ones() -> None:
    with pytest.raises(SettingsError) as caught:
        resolve("uk")
    assert "ZOHO_DATA_CENTER is 'uk'" in str(caught.value)
    assert all(name in caught.value.hint for name in DATA_CENTERS)


def test_an_override_replaces_its_host_only() -> None:
    assert resolve("us", None, "https://proxy.example.com:8443/zoho/") == Hosts(
        "https://accounts.zoho.com", "https://proxy.example.com:8443/zoho", api_domain_given=True
    )
    assert resolve("us", "http://127.0.0.1:9000/") == Hosts("http://127.0.0.1:9000", "https://www.zohoapis.com")
    assert resolve("us", "", "").api_domain == "https://www.zohoapis.com"


@pytest.mark.parametrize("url", ["http://127.0.0.1:9000", "http://localhost", "http://[::1]:80", "www.zohoapis.eu"])
def test_http_is_accepted_on_loopback_and_https_is_meant_where_nothing_is_said(url: str) -> None:
    assert resolve("us", api_domain=url).api_domain == (url if "://" in url else f"https://{url}")


@pytest.mark.parametrize(
    "url",
    [
        "http://www.zohoapis.com",
        "http://10.0.0.1",
        "http://localhost.example.com",
        "ftp://127.0.0.1",
        "https://",
        "https://user:hunter2@www.zohoapis.com",
        "https://www.zohoapis.com?token=hunter2",
        "https://[bad",
        "https://host:hunter2",
        "not a url",
    ],
)
def test_an_unsafe_or_broken_override_names_its_variable_and_repeats_no_secret(url: str) -> None:
    with pytest.raises(SettingsError) as caught:
        resolve("us", accounts_url=url)
    assert "ZOHO_ACCOUNTS_URL" in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("host", ["www.zohoapis.com", "SANDBOX.zohoapis.eu", "developer.zohoapis.com.au"])
def test_documented_hosts_are_zohos(host: str) -> None:
    assert is_zoho_host(host)


@pytest.mark.parametrize(
    "host", ["zohoapis.com.evil.example", "www.zohoapis.co", "evil.zohoapis.com", "zohoapis.com", ""]
)
def test_other_hosts_are_not_zohos(host: str) -> None:
    assert not is_zoho_host(host)


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("https://www.zohoapis.eu", "https://www.zohoapis.eu"),
        (" https://sandbox.zohoapis.com:443/crm ", "https://sandbox.zohoapis.com"),
        ("http://www.zohoapis.eu", None),
        ("https://www.zohoapis.eu:444", None),
        ("https://www.zohoapis.eu:x", None),
        ("https://me@www.zohoapis.eu", None),
        ("https://evil.example/www.zohoapis.eu", None),
        ("", None),
    ],
)
def test_a_token_answer_may_name_documented_domains_only(url: str, base: str | None) -> None:
    assert documented_api_domain(url) == base


def test_loopback_is_told_without_resolving_names() -> None:
    assert is_loopback("127.5.5.5")
    assert is_loopback("::1")
    assert not is_loopback("127.example.com")
    assert not is_loopback("10.0.0.1")
