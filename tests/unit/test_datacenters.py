"""Credentials go to Zoho's documented hosts, or to where a person has pointed them, and nowhere else."""

from __future__ import annotations

import pytest

from massconvert.addresses import is_loopback
from massconvert.errors import SettingsError
from massconvert.zoho.datacenters import (
    DATA_CENTERS,
    Hosts,
    documented_api_domain,
    is_zoho_host,
    judged_api_domain,
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
        ("uk", "https://accounts.zoho.uk", "https://www.zohoapis.uk"),
        ("ae", "https://accounts.zoho.ae", "https://www.zohoapis.ae"),
        (" EU ", "https://accounts.zoho.eu", "https://www.zohoapis.eu"),
    ],
)
def test_each_data_centre_has_its_two_hosts(name: str, accounts: str, api: str) -> None:
    assert resolve(name) == Hosts(accounts, api)


def test_an_unknown_data_centre_is_told_with_the_known_ones() -> None:
    with pytest.raises(SettingsError) as caught:
        resolve("mars")
    assert "ZOHO_DATA_CENTER is 'mars'" in str(caught.value)
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


US, EU, PROXY = "https://accounts.zoho.com", "https://accounts.zoho.eu", "http://127.0.0.1:9000"


@pytest.mark.parametrize(
    ("said", "accounts", "url", "listed"),
    [
        ("https://www.zohoapis.eu", EU, "https://www.zohoapis.eu", True),
        ("https://sandbox.zohoapis.eu", EU, "https://sandbox.zohoapis.eu", True),
        ("https://www.zohoapis.uk", PROXY, "https://www.zohoapis.uk", True),
        # Another data centre's than the accounts server's.
        ("https://www.zohoapis.com", EU, "", False),
        ("https://www.zohoapis.uk", US, "", False),
        ("https://developer.zohoapis.in", US, "", False),
        # In no list, and in Zoho's form.
        ("https://www.zohoapis.sg", US, "https://www.zohoapis.sg", False),
        ("https://sandbox.zohoapis.com.br", PROXY, "https://sandbox.zohoapis.com.br", False),
        (" https://developer.zohoapis.co.za/ ", US, "https://developer.zohoapis.co.za", False),
        # Nobody's.
        ("https://www.zohoapis.co", US, "", False),
        ("https://www.zohoapis.cm", US, "", False),
        ("https://www.zohoapis.com.evil.com", US, "", False),
        ("https://www.zohoapis.evil.sg", US, "", False),
        ("https://www.zohoapis.sg.evil.com", US, "", False),
        ("https://evil.zohoapis.sg", US, "", False),
        ("https://zohoapis.sg", US, "", False),
        ("https://www.zohoapis.sg:444", US, "", False),
        ("https://www.zohoapis.sg:443", US, "", False),
        ("https://www.zohoapis.sg/crm", US, "", False),
        ("https://www.zohoapis.sg?x", US, "", False),
        ("https://me@www.zohoapis.sg", US, "", False),
        ("https://www.zohoapis.sg\\@evil.com", US, "", False),
        ("https://evil.com/www.zohoapis.sg", US, "", False),
        ("http://www.zohoapis.sg", US, "", False),
        ("www.zohoapis.sg", US, "", False),
        ("https://www.zohoapis.\u0441\u043e\u043c", US, "", False),
        ("https://www.zohoapis.xn--p1ai", US, "", False),
        ("https://www.z\u043ehoapis.sg", US, "", False),
        ("https://www.zohoapis.s\u0261", US, "", False),
        ("https://www.zohoapis.sg.", US, "", False),
        ("https://www.zohoapis.sg\n", US, "https://www.zohoapis.sg", False),
        ("", US, "", False),
    ],
)
def test_the_token_goes_to_zohos_hosts_only_and_to_no_other_data_centres(
    said: str, accounts: str, url: str, listed: bool
) -> None:
    judged = judged_api_domain(said, accounts)
    assert (judged.url, judged.listed) == (url, listed)
    assert bool(judged.why) is not listed


@pytest.mark.parametrize(
    ("name", "url", "base"),
    [
        ("accounts_url", "https://accounts.zoho.eu/oauth/v2/token", "https://accounts.zoho.eu"),
        ("accounts_url", "accounts.zoho.eu/oauth/v2/token?", "https://accounts.zoho.eu"),
        ("accounts_url", "https://accounts.zoho.eu//oauth/v2/token", "https://accounts.zoho.eu"),
        ("accounts_url", "https://accounts.zoho.eu.", "https://accounts.zoho.eu"),
        ("accounts_url", "https://proxy.example.com/zoho/oauth/v2/", "https://proxy.example.com/zoho"),
        ("api_domain", "https://www.zohoapis.eu/crm/v8/", "https://www.zohoapis.eu"),
        ("api_domain", "https://proxy.example.com/zoho/crm", "https://proxy.example.com/zoho"),
        ("api_domain", "https://proxy.example.com/zoho/crmx", "https://proxy.example.com/zoho/crmx"),
    ],
)
def test_the_path_of_a_call_is_dropped(name: str, url: str, base: str) -> None:
    hosts = resolve("us", **{name: url})
    assert getattr(hosts, name) == base


@pytest.mark.parametrize(
    ("name", "url", "hint"),
    [
        ("accounts_url", "https://accounts.zoho.eu/developerconsole", "https://accounts.zoho.eu"),
        ("accounts_url", "https://www.zohoapis.eu", "https://accounts.zoho.eu"),
        ("accounts_url", "https://crm.zoho.eu/crm/org123", "https://accounts.zoho.eu, or unset it"),
        ("accounts_url", "https://api-console.zoho.com.au", "https://accounts.zoho.com.au, or unset it"),
        ("accounts_url", "https://accounts.zoho.eu/oauth/v2/auth?scope=x", "https://accounts.zoho.com"),
        ("api_domain", "https://www.zohoapis.eu/crm/v8?x=1", "https://www.zohoapis.com"),
        ("api_domain", "https://accounts.zoho.eu", "https://www.zohoapis.eu"),
        ("api_domain", "https://crm.zohocloud.ca", "https://www.zohoapis.ca, or unset it"),
        ("api_domain", "https://www.zohoapis.eu/v8", "https://www.zohoapis.eu"),
    ],
)
def test_another_server_of_zohos_is_refused_with_the_right_one(name: str, url: str, hint: str) -> None:
    with pytest.raises(SettingsError) as caught:
        resolve("us", **{name: url})
    assert f"ZOHO_{name.upper()}" in str(caught.value)
    assert hint in caught.value.hint


def test_loopback_is_told_without_resolving_names() -> None:
    assert is_loopback("127.5.5.5")
    assert is_loopback("::1")
    assert not is_loopback("127.example.com")
    assert not is_loopback("10.0.0.1")
