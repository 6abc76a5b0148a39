"""Settings: whatever text a setting is given, it is taken or refused with the variable's name; and they are documented."""

import re
import string
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ironclaw.errors import ConfigError
from ironclaw.settings import Settings

FIELDS = attrs.fields(Settings)
NAMES = [field.name for field in FIELDS]
ROOT = Path(__file__).parents[1]
# Beside any text at all, what looks like the forms that settings have.
TEXTS = st.one_of(
    st.text(),
    st.text(string.digits + ".-+eE_ ,", max_size=30),
    st.text(string.ascii_letters + string.digits + ":/[]@?#.,*~ ", max_size=60).map(lambda text: f"https://{text}"),
    st.sampled_from(["http://[", "https://]:1", "9" * 5000, "-0", "nan", "1e400", "~nobody-here/x", "::1/129", "٣"]),
)


def field_named(name: str) -> "attrs.Attribute[Any]":
    return getattr(FIELDS, name)  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", NAMES)
@given(text=TEXTS)
@example(text="9" * 5000)
@example(text="http://[")
@example(text="https://a:99999")
@example(text="~nobody-here/x")
def test_any_text_for_any_setting_is_taken_or_refused_with_the_variables_name(
    tmp_path_factory: pytest.TempPathFactory, name: str, text: str
) -> None:
    field = field_named(name)
    empty = tmp_path_factory.getbasetemp() / "nothing-here"
    environ = {"IRONCLAW_HOME": str(empty), field.metadata["env"]: text}
    for flags, environment in (({}, environ), ({name: text}, {"IRONCLAW_HOME": str(empty)})):
        problem = problem_of(flags, environment, empty)
        assert problem is None or (field.metadata["env"] in problem and problem.endswith(".")), problem


def problem_of(flags: dict[str, str], environment: dict[str, str], directory: Path) -> str | None:
    """What is said against these settings; None when they are taken."""
    try:
        Settings.load(flags, environment, directory)
    except ConfigError as error:
        return error.message
    return None


@given(secret=st.text(min_size=4).filter(lambda text: text.strip() == text and "***" not in text))
def test_a_token_is_in_no_message_and_no_repr(tmp_path_factory: pytest.TempPathFactory, secret: str) -> None:
    empty = tmp_path_factory.getbasetemp() / "nothing-here"
    environ = {"IRONCLAW_HOME": "/h", "GATEWAY_AUTH_TOKEN": f"<{secret}>"}
    settings = Settings.load({}, environ, empty)
    assert settings.auth_token == f"<{secret}>"
    assert f"<{secret}>" not in repr(settings)
    assert f"<{secret}>" not in str(attrs.evolve(settings, port=1))
    with pytest.raises(ConfigError) as caught:
        Settings.load({"port": "x"}, environ, empty)
    assert f"<{secret}>" not in str(caught.value)


def test_a_secret_that_is_refused_is_not_shown() -> None:
    from ironclaw.setting_values import NotAllowedError
    from ironclaw.settings import _parse

    def never(_: str) -> str:
        raise NotAllowedError("something else")

    field = field_named("auth_token")
    assert field.metadata["secret"]
    with pytest.raises(ConfigError) as caught:
        _parse(field.evolve(metadata={**field.metadata, "parse": never}), "the-secret-itself", "GATEWAY_AUTH_TOKEN")
    assert "the-secret-itself" not in str(caught.value)
    assert "***" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("port", "0", 0),
        ("port", " 65535 ", 65535),
        ("api_rate", "0", 0),
        ("max_streams", "100000", 100_000),
        ("cors_origins", "none", None),
        ("cors_origins", "https://a.example, http://b.example:8080", ("https://a.example", "http://b.example:8080")),
        ("public_url", "https://a.example/claw/", "https://a.example/claw"),
        ("allowed_hosts", "a.example,b.example c.example", ("a.example", "b.example", "c.example")),
        ("log_level", "WARN", "warn"),
        ("shutdown_grace", "0.5", 0.5),
        ("home", "relative/home", Path.cwd() / "relative/home"),
        ("workspace", "~/notes", Path.home() / "notes"),
    ],
)
def test_good_values_are_taken_as_they_are_meant(tmp_path: Path, name: str, text: str, value: object) -> None:
    settings = Settings.load({}, {"IRONCLAW_HOME": str(tmp_path), field_named(name).metadata["env"]: text}, tmp_path)
    assert getattr(settings, name) == value


def test_networks_are_addresses_too(tmp_path: Path) -> None:
    environ = {"IRONCLAW_HOME": str(tmp_path), "GATEWAY_TRUSTED_PROXIES": "127.0.0.1, 10.1.2.3/8 ::1"}
    networks = Settings.load({}, environ, tmp_path).trusted_proxies
    assert [str(network) for network in networks] == ["127.0.0.1/32", "10.0.0.0/8", "::1/128"]


def test_without_load_nothing_of_the_world_is_looked_at(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("GATEWAY_PORT=1234\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GATEWAY_PORT", "5678")
    assert Settings().port == 3000
    assert Settings.load({}, None, tmp_path).port == 5678
    assert Settings.load({"port": None}, {}, tmp_path).port == 1234  # a flag that was not given counts as nothing


def test_each_source_is_told(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("GATEWAY_PORT=1234\n")
    home = tmp_path / "home"
    home.mkdir()
    (home / ".env").write_text("LOG_LEVEL=debug\nGATEWAY_PORT=9\n")
    environ = {"IRONCLAW_HOME": str(home), "LOG_FORMAT": "json"}
    sources = Settings.sources({"user_id": "me"}, environ, tmp_path)
    assert sources["port"] == (1234, str(tmp_path / ".env"))
    assert sources["log_level"] == ("debug", str(home / ".env"))
    assert sources["log_format"] == ("json", "environment")
    assert sources["user_id"] == ("me", "--user-id")
    assert sources["host"] == ("0.0.0.0", "default")


def test_every_setting_has_a_variable_of_its_own_a_help_text_and_a_row_in_the_readme() -> None:
    variables = [field.metadata["env"] for field in FIELDS]
    assert len(set(variables)) == len(variables)
    assert all(field.metadata["help"] for field in FIELDS)
    readme = (ROOT / "README.md").read_text()
    rows = dict(re.findall(r"^\| `?([A-Z_]+)`? \| *(.*?) *\|", readme, re.M))
    for field in FIELDS:
        row = rows.get(field.metadata["env"])
        assert row is not None, f"README.md has no row for {field.metadata['env']}"
        if isinstance(field.default, int | float | str) and not isinstance(field.default, bool):
            number = f"{field.default:g}" if isinstance(field.default, float) else str(field.default)
            assert number in row.replace(",", "")
    assert set(rows) <= set(variables)
