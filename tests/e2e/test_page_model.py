"""The model on the page: connecting one, what is wrong with one, what it costs. Its server is a process of its own."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from gateway_process import GatewayProcess
from llm.stand_in_process import StandInProcess, reply, run_stand_in  # noqa: F401
from page_ground import connect, look_at, place, say, sign_in  # noqa: F401
from playwright.sync_api import Locator, Page, expect

pytestmark = [pytest.mark.process, pytest.mark.browser]
KEY = "sk-page-0123456789abcdefghij"


@pytest.fixture
def gateway(gateway_process: Callable[..., GatewayProcess]) -> GatewayProcess:
    return gateway_process(BUILTIN_WORD_DELAY="0").start()


def model_card(page: Page) -> Locator:
    return page.locator(".model-card:visible")


def enter(page: Page, address: str, *, key: str = "", model: str = "") -> None:
    """Fill the Model card in and press its button; the key's field is empty at once."""
    for label, text in (("Address", address), ("Key", key), ("Model", model)):
        model_card(page).locator("input").and_(page.get_by_label(label)).fill(text)
    model_card(page).get_by_role("button", name="Connect").click()
    assert model_card(page).get_by_label("Key").input_value() == ""


def told(page: Page, words: str) -> str:
    """What the card says, once it holds *words*."""
    expect(model_card(page).locator("form .problem")).to_contain_text(words)
    return model_card(page).locator("form .problem").inner_text()


@pytest.mark.parametrize("width", [1280, 360])
def test_point_16_wrong_host_wrong_key_and_missing_model_are_three_sentences_with_a_fix_each(
    look: Callable[..., Page], gateway: GatewayProcess, stand_in: StandInProcess, width: int
) -> None:
    page = sign_in(look(width), gateway)
    expect(page.get_by_role("heading", name="Connect a model")).to_be_visible()
    enter(page, "127.0.0.1:1")
    host = told(page, "no model server listens")
    assert "Start the model server" in host
    expect(model_card(page).get_by_label("Address")).to_be_focused()
    enter(page, f"{stand_in.url}/v1", model="missing")
    missing = told(page, "missing")
    expect(model_card(page).get_by_role("textbox", name="Model")).to_be_focused()
    refusal = {"error": {"message": "Incorrect API key provided.", "code": "invalid_api_key"}}
    stand_in.script("guarded", reply(refusal_text(refusal), status=401, Content_Type="application/json"))
    enter(page, f"{stand_in.url}/v1", key=KEY, model="guarded")
    key = told(page, "key")
    expect(model_card(page).get_by_label("Key")).to_be_focused()
    assert len({host, missing, key}) == 3
    assert all("{" not in text for text in (host, missing, key))
    assert gateway.request("GET", "/api/model")[2]["state"] == "none"
    # Success answers within the card, also when the thread is no longer without a model.
    enter(page, stand_in.url, model="hello")
    expect(model_card(page)).to_contain_text(re.compile(r"Connected: hello at 127.0.0.1; first words in \d+\.\d s"))
    expect(page.locator(".answering")).to_have_text("hello")
    say(page, "Hello?")
    expect(page.locator(".turn .prose")).to_contain_text("Hello from the model.")
    expect(page.get_by_role("heading", name="Connect a model")).to_have_count(0)


def refusal_text(body: dict[str, Any]) -> str:
    return str(body).replace("'", '"')


def everything(page: Page) -> str:
    """All that the page and the browser hold: nodes, the values of fields, storage, address, history."""
    return str(
        page.evaluate(
            "JSON.stringify([document.documentElement.outerHTML,"
            " [...document.querySelectorAll('input')].map(one => one.value),"
            " { ...localStorage }, { ...sessionStorage }, location.href, history.state])"
        )
    )


def test_point_17_the_key_is_sent_once_to_be_tried_and_once_to_be_kept_and_is_nowhere_afterwards(
    look: Callable[..., Page], gateway: GatewayProcess, stand_in: StandInProcess, tmp_path: Path
) -> None:
    page = look()
    carried: list[tuple[str, str]] = []

    def watch(request: Any) -> None:
        if KEY in request.url or KEY in (request.post_data or ""):
            carried.append((request.method, request.url.removeprefix(gateway.url)))

    answers: list[str] = []
    page.on("request", watch)
    page.on("response", lambda answer: "/api/model" in answer.url and answers.append(answer.text()))
    sign_in(page, gateway)
    place(page, "System").click()
    enter(page, f"{stand_in.url}/v1", key=KEY, model="hello")
    expect(model_card(page)).to_contain_text("Connected: hello")
    expect(model_card(page)).to_contain_text("its key is kept")
    assert carried == [("POST", "/api/model/test"), ("PUT", "/api/model")]
    assert KEY not in everything(page)
    page.reload()
    expect(model_card(page)).to_contain_text("Connected: hello")
    model_card(page).get_by_role("button", name="Change").click()
    expect(model_card(page).get_by_label("Key")).to_have_value("")
    assert KEY not in everything(page)
    assert answers
    assert not [text for text in answers if KEY in text]
    assert KEY not in gateway.log
    assert KEY in stand_in.requests()[-1]["headers"]["Authorization"]
    # Another model of the same server: the key that is kept is used, and the page does not have it.
    model_card(page).get_by_role("button", name="Cancel").click()
    model_card(page).get_by_role("combobox").select_option("echo")
    expect(model_card(page)).to_contain_text("Connected: echo")
    assert len(carried) == 2
    assert KEY in stand_in.requests()[-1]["headers"]["Authorization"]
    with page.expect_response(lambda response: response.request.method == "DELETE"):
        model_card(page).get_by_role("button", name="Disconnect").click()
    expect(model_card(page).get_by_role("button", name="Connect")).to_be_visible()
    assert gateway.request("GET", "/api/model")[2]["has_key"] is False


def test_a_model_that_the_environment_sets_says_so_and_cannot_be_changed_here(
    look: Callable[..., Page], gateway_process: Callable[..., GatewayProcess], stand_in: StandInProcess
) -> None:
    gateway = gateway_process(LLM_BASE_URL=f"{stand_in.url}/v1", LLM_MODEL="hello", LLM_BACKEND="openai_compatible")
    page = sign_in(look(), gateway.start())
    expect(page.locator(".answering")).to_have_text("hello")
    expect(page.get_by_role("heading", name="Connect a model")).to_have_count(0)
    place(page, "System").click()
    expect(model_card(page)).to_contain_text("set in the gateway's environment")
    expect(model_card(page).get_by_role("button")).to_have_count(0)


def test_a_model_without_tools_says_what_that_means(
    look: Callable[..., Page], gateway: GatewayProcess, stand_in: StandInProcess
) -> None:
    stand_in.facts(show={"capabilities": ["completion"], "model_info": {"llama.context_length": 8192}})
    gateway.request("PUT", "/api/model", {"address": stand_in.url, "model": "hello"})
    page = sign_in(look(), gateway)
    place(page, "System").click()
    if gateway.request("GET", "/api/model")[2]["tools"] is False:
        expect(model_card(page)).to_contain_text("This model can't use tools")


def test_a_turn_without_an_answer_leads_to_the_model_and_can_be_tried_again(
    look: Callable[..., Page], gateway: GatewayProcess, stand_in: StandInProcess
) -> None:
    connect(gateway, stand_in, "missing")
    page = sign_in(look(), gateway)
    say(page, "Hello?")
    expect(page.locator(".turn .end").last).to_contain_text("No answer.")
    expect(page.locator(".answering")).to_contain_text("missing is not there")
    page.get_by_role("link", name="Model settings").click()
    expect(page.get_by_text("One thing is not well")).to_be_visible()
    model_card(page).get_by_role("combobox").select_option("hello")
    expect(model_card(page)).to_contain_text("Connected: hello")
    expect(page.get_by_text("All well.")).to_be_visible()
    page.go_back()
    page.get_by_role("button", name="Retry").click()
    expect(page.locator(".turn .prose").last).to_contain_text("Hello from the model.")


def test_a_change_of_the_model_elsewhere_is_seen_at_once(
    look: Callable[..., Page], gateway: GatewayProcess, stand_in: StandInProcess
) -> None:
    page, chat = sign_in(look(), gateway), sign_in(look(), gateway)
    place(page, "System").click()
    expect(model_card(page).get_by_role("button", name="Connect")).to_be_visible()
    connect(gateway, stand_in, "hello")
    expect(model_card(page)).to_contain_text("Connected: hello")
    expect(chat.locator(".answering")).to_have_text("hello")
    expect(chat.get_by_text("I can answer questions")).to_be_visible()


def test_what_the_model_thinks_is_folded_and_no_part_of_the_answer(
    look: Callable[..., Page], gateway: GatewayProcess, stand_in: StandInProcess
) -> None:
    connect(gateway, stand_in, "think")
    page = sign_in(look(), gateway)
    say(page, "Hello?")
    expect(page.locator(".turn .prose")).to_have_text("Good day.")
    expect(page.get_by_text("The person greets.")).to_be_hidden()
    page.locator(".turn").get_by_text("Thinking", exact=True).click()
    expect(page.get_by_text("The person greets.")).to_be_visible()


@pytest.fixture
def slow(gateway: GatewayProcess, stand_in: StandInProcess) -> GatewayProcess:
    connect(gateway, stand_in, "count-40-0.1")
    return gateway


def test_point_14_stop_waits_for_the_gateways_word_and_keeps_the_text(
    look: Callable[..., Page], slow: GatewayProcess
) -> None:
    page = sign_in(look(), slow)
    say(page, "Count.")
    expect(page.locator(".turn .prose")).to_contain_text("3")
    page.evaluate(
        "const seen = window.seen = []; const text = (one) => document.querySelector(one).textContent;"
        "const note = () => { const now = `${text('.composer .primary')}/${text('[data-part=end-word]')}`;"
        " if (seen.at(-1) !== now) seen.push(now) };"
        "new MutationObserver(note).observe(document.querySelector('.conversation'),"
        " { subtree: true, childList: true, characterData: true })"
    )
    page.get_by_role("button", name="Stop").click()
    expect(page.locator(".turn .end")).to_contain_text("Stopped")
    expect(page.get_by_role("button", name="Send")).to_be_visible()
    assert "Stopping…/" in page.evaluate("window.seen")
    assert "Send/" not in page.evaluate("window.seen")
    expect(page.locator(".turn .prose")).to_contain_text("3")
    assert "40" not in page.locator(".turn .prose").inner_text()


def test_the_budget_is_set_and_what_is_wrong_with_it_is_said(
    look: Callable[..., Page], gateway: GatewayProcess
) -> None:
    page = sign_in(look(), gateway)
    place(page, "System").click()
    page.get_by_label("A day, in dollars").fill("much")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Enter an amount like 2.50")).to_be_visible()
    expect(page.get_by_label("A day, in dollars")).to_be_focused()
    page.get_by_label("A day, in dollars").fill("9999999")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Not saved.")).to_be_visible()
    page.get_by_label("A day, in dollars").fill("1,50")
    page.get_by_label("A month, in dollars").fill("20")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    expect(page.get_by_text("Today $0.00 of $1.50. This month $0.00 of $20.00.")).to_be_visible()
    budget = gateway.request("GET", "/api/budget")[2]
    assert (budget["day_usd"], budget["month_usd"]) == (1.5, 20)
    page.reload()
    expect(page.get_by_label("A month, in dollars")).to_have_value("20")
