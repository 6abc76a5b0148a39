"""The place Jobs: starting one, watching, stopping, its files. A real Chromium, the real program, a real sandbox."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from gateway_process import GatewayProcess
from page_ground import card, look_at, place, say, sign_in  # noqa: F401
from page_measure import WIDE_AND_PHONE, Measure
from playwright.sync_api import Locator, Page, expect

pytestmark = [pytest.mark.process, pytest.mark.browser]
_HIT = "<img src=x onerror=window.hit=1>"
_COUNTS = "echo ready; for i in $(seq 1 400); do echo line $i; sleep 0.1; done"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    gateway = GatewayProcess(
        tmp_path_factory.mktemp("jobs") / "home", {"BUILTIN_WORD_DELAY": "0", "JOBS_PARALLEL": "2"}
    )
    try:
        yield gateway.start()
    finally:
        gateway.kill()


@pytest.fixture(autouse=True)
def none_left(gateway: GatewayProcess) -> Iterator[None]:
    """No job of a test runs on behind it."""
    yield
    if gateway.process is None or gateway.process.poll() is not None:
        return
    for job in gateway.request("GET", "/api/jobs?status=pending,running")[2]["jobs"]:
        gateway.request("POST", f"/api/jobs/{job['id']}/stop")


def run(gateway: GatewayProcess, command: str, *, wait: bool = False, **more: Any) -> str:
    status, _, job = gateway.request("POST", f"/api/jobs{'?wait=60' if wait else ''}", {"command": command, **more})
    assert status == 201, job
    return str(job["id"])


def open_jobs(page: Page, gateway: GatewayProcess, where: str = "") -> Page:
    sign_in(page, gateway)
    page.goto(f"{gateway.url}/#/jobs{where}")
    return page


def row(page: Page, title: str) -> Locator:
    return page.get_by_role("row").filter(has=page.get_by_role("link", name=title, exact=True)).first


def output(page: Page) -> Locator:
    return page.locator(".job-output:visible")


def command(page: Page) -> Locator:
    return page.get_by_role("textbox", name="Command")


def head(page: Page) -> Locator:
    return page.locator(".job-where")


def act(page: Page, name: str) -> Locator:
    return page.get_by_role("button", name=name, exact=True)


def choose(page: Page, item: str) -> None:
    page.get_by_role("button", name="More about this job").click()
    page.get_by_role("menuitem", name=item).click()


def test_point_20_an_empty_list_says_so_and_a_command_that_is_run_shows_its_output_as_it_comes(
    look: Callable[..., Page], gateway: GatewayProcess
) -> None:
    page = open_jobs(look(), gateway)
    expect(page.get_by_text("No job has run yet.")).to_be_visible()
    expect(command(page)).to_be_focused()
    page.keyboard.type("for i in 1 2 3; do echo part $i; sleep 1; done; exit 3")
    page.keyboard.press("Enter")
    expect(output(page)).to_contain_text("part 1")
    assert "part 3" not in output(page).inner_text()
    expect(head(page)).to_contain_text("Running")
    expect(output(page)).to_contain_text("part 3")
    expect(head(page)).to_contain_text(
        re.compile(r"^Failed · exit code 3 · took \d s · in bubblewrap · started \d\d:\d\d$")
    )
    expect(page.get_by_role("banner")).to_contain_text("for i in 1 2 3")
    expect(page.locator(".job-given")).to_contain_text("exit 3")
    page.get_by_role("link", name="All jobs").click()
    expect(command(page)).to_have_value("")
    expect(row(page, "for i in 1 2 3; do echo part $i; sleep 1; done; exit 3")).to_contain_text("Failed")


def test_the_table_is_live_also_for_what_is_started_elsewhere(
    look: Callable[..., Page], gateway: GatewayProcess
) -> None:
    page = open_jobs(look(), gateway)
    heads = page.get_by_role("columnheader")
    expect(page.get_by_role("textbox", name="Command")).to_be_visible()
    first, _, third = (run(gateway, _COUNTS, title=title) for title in ("First", "Second", "Third"))
    expect(heads).to_have_text(["State", "Job", "Since", "Took"])
    expect(row(page, "First")).to_contain_text("Running")
    expect(row(page, "First")).to_contain_text(re.compile(r"line \d+"))
    expect(row(page, "First")).to_contain_text(re.compile(r"\d s$"))
    expect(row(page, "Third")).to_contain_text("Waiting")
    gateway.request("POST", f"/api/jobs/{first}/stop")
    expect(row(page, "First")).to_contain_text("Stopped")
    expect(row(page, "Third")).to_contain_text("Running")
    gateway.request("POST", f"/api/jobs/{third}/stop")
    expect(row(page, "Third")).to_contain_text("Stopped")
    page.reload()
    expect(row(page, "Third")).to_contain_text("Stopped")


def test_point_14_stop_says_stopping_and_then_what_the_gateway_says(
    look: Callable[..., Page], gateway: GatewayProcess
) -> None:
    job = run(gateway, f"trap '' TERM; {_COUNTS}", title="Stubborn")
    page = open_jobs(look(), gateway, f"/{job}")
    expect(output(page)).to_contain_text("line 3")
    page.evaluate(
        "const seen = window.seen = []; new MutationObserver(() => {"
        " const now = document.querySelector('.job [data-part=state]').textContent;"
        " if (seen.at(-1) !== now) seen.push(now) })"
        ".observe(document.querySelector('.job'), { subtree: true, childList: true, characterData: true })"
    )
    act(page, "Stop").click()
    expect(head(page)).to_contain_text("Stopped")
    assert page.evaluate("window.seen")[-2:] == ["Stopping", "Stopped"]
    expect(page.get_by_text("It was stopped by a person.")).to_be_visible()
    expect(act(page, "Run again")).to_be_visible()
    expect(act(page, "Stop")).to_have_count(0)


def test_an_ended_job_runs_again_as_another_one_and_is_deleted_when_that_is_confirmed(
    look: Callable[..., Page], gateway: GatewayProcess
) -> None:
    job = run(gateway, "date +%N", title="Clock", wait=True)
    page = open_jobs(look(), gateway, f"/{job}")
    expect(head(page)).to_contain_text("Done")
    first = output(page).inner_text()
    act(page, "Run again").click()
    expect(page).not_to_have_url(re.compile(job))
    expect(head(page)).to_contain_text("Done")
    expect(output(page)).to_contain_text(re.compile(r"\d{9}"))
    assert output(page).inner_text() != first
    page.go_back()
    expect(output(page)).to_have_text(first.strip())
    choose(page, "Delete")
    expect(page.get_by_text("Delete this job, its output and its files?")).to_be_visible()
    page.keyboard.press("Escape")
    expect(act(page, "Run again")).to_be_visible()
    choose(page, "Delete")
    act(page, "Delete").click()
    expect(page.get_by_text("Deleted.")).to_be_visible()
    expect(command(page)).to_be_visible()
    assert gateway.request("GET", f"/api/jobs/{job}")[0] == 404
    page.goto(f"{gateway.url}/#/jobs/{job}")
    expect(page.get_by_text("This job is not there any more")).to_be_visible()


def test_files_are_listed_browsed_and_downloaded(look: Callable[..., Page], gateway: GatewayProcess) -> None:
    job = run(gateway, f"mkdir -p 'a b/c'; echo deep > 'a b/c/x.txt'; echo flat > '{_HIT}'", title="Files", wait=True)
    page = open_jobs(look(), gateway, f"/{job}")
    page.get_by_role("link", name="Files", exact=True).click()
    entries = page.get_by_role("list", name="Files").get_by_role("listitem")
    expect(entries).to_have_count(2)
    with page.expect_download() as download:
        page.get_by_role("button", name=f"Download {_HIT}").click()
    assert download.value.path().read_text() == "flat\n"
    page.get_by_role("link", name="a b/").click()
    page.get_by_role("link", name="c/").click()
    assert page.url.endswith(f"/#/jobs/{job}/files/a%20b/c")
    expect(entries).to_contain_text(["x.txt"])
    page.reload()
    expect(entries).to_contain_text(["x.txt"])
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="x.txt").click()
    expect(opened.value.get_by_text("deep")).to_be_visible()
    assert gateway.token not in opened.value.url
    page.go_back()
    expect(entries).to_contain_text(["c/"])
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="Browse").click()
    expect(opened.value.get_by_role("link", name="a b/")).to_be_visible()
    assert page.evaluate("window.hit") is None


def test_what_a_job_is_called_prints_and_leaves_is_text(look: Callable[..., Page], gateway: GatewayProcess) -> None:
    said = f"printf '\\033[31mred\\033[0m \\033]0;title\\007 {_HIT}\\a\\r\\nnext\\n'"
    job = run(gateway, said, title=f"{_HIT} job", wait=True)
    page = open_jobs(look(), gateway)
    expect(row(page, f"{_HIT} job")).to_be_visible()
    row(page, f"{_HIT} job").get_by_role("link").click()
    expect(output(page)).to_contain_text(f"red {_HIT}")
    assert "\x1b" not in output(page).inner_text()
    assert "\x07" not in output(page).inner_text()
    expect(page.get_by_role("banner")).to_contain_text(_HIT)
    assert page.url.endswith(job)
    assert page.locator("main img").count() == 0
    assert page.evaluate("window.hit") is None


def test_who_reads_further_up_is_not_moved_and_the_end_is_followed_otherwise(
    look: Callable[..., Page], gateway: GatewayProcess
) -> None:
    job = run(gateway, f"seq 1 300; {_COUNTS}", title="Long")
    page = open_jobs(look(), gateway, f"/{job}")
    scroller = page.get_by_role("region", name="Output")
    expect(output(page)).to_contain_text("line 5")
    gap = "one => one.scrollHeight - one.scrollTop - one.clientHeight"
    assert scroller.evaluate(gap) < 40
    scroller.evaluate("one => { one.scrollTop -= 600 }")
    page.wait_for_timeout(200)
    top = scroller.evaluate("one => one.scrollTop")
    expect(page.get_by_role("button", name="New lines below")).to_be_visible()
    page.wait_for_timeout(500)  # five lines more
    assert scroller.evaluate("one => one.scrollTop") == top
    page.reload()
    expect(output(page)).to_contain_text("line 5")
    page.wait_for_function("top => Math.abs(document.querySelector('.job-scroll').scrollTop - top) <= 1", arg=top)
    page.get_by_role("button", name="New lines below").click()
    page.wait_for_function(f"() => ({gap})(document.querySelector('.job-scroll')) < 40")


def test_of_much_output_little_stands_on_the_page_and_all_that_is_kept_can_be_read(
    look: Callable[..., Page], gateway: GatewayProcess
) -> None:
    page = open_jobs(look(), gateway)
    command(page).fill("seq 1 400000; echo the end")
    act(page, "Run").click()
    expect(output(page)).to_contain_text("the end", timeout=60_000)
    first = page.evaluate(
        "[...document.querySelectorAll('.job-output > *')].map(one => one.textContent).join('').split('\\n')[0]"
    )
    assert 390_000 < int(first) < 400_000
    page.evaluate(
        "new Promise(resolve => { const scroller = document.querySelector('.job-scroll'); let last = '';"
        " const up = () => { scroller.scrollTop = 0; const now = scroller.innerText.slice(0, 400);"
        " if (now === last) resolve(); else { last = now; setTimeout(up, 50) } }; up() })"
    )
    assert int(output(page).inner_text().split("\n")[0]) < int(first)
    with page.expect_download() as download:
        choose(page, "Download the output")
    assert download.value.path().read_text().rstrip().endswith("the end")


def test_a_break_loses_and_doubles_nothing_of_the_output(look: Callable[..., Page], gateway: GatewayProcess) -> None:
    job = run(gateway, "echo once; sleep 300", title="Broken off")
    page = open_jobs(look(), gateway, f"/{job}")
    expect(output(page)).to_contain_text("once")
    gateway.env["GATEWAY_PORT"] = str(gateway.port)
    gateway.kill()
    try:
        expect(page.locator(".jobs .said")).to_contain_text("Reconnecting")
    finally:
        gateway.start()
    expect(head(page)).to_contain_text("Interrupted", timeout=40_000)
    expect(output(page)).to_have_text("once")
    expect(page.locator(".jobs .said")).to_be_hidden(timeout=40_000)


def test_options_are_folded_and_what_is_wrong_with_them_is_said_where_it_is(
    look: Callable[..., Page], gateway: GatewayProcess
) -> None:
    page = open_jobs(look(), gateway)
    expect(page.get_by_label("Memory, in MB")).to_be_hidden()
    act(page, "Run").click()
    expect(page.get_by_text("Enter what is to be run.")).to_be_visible()
    command(page).fill("echo kept")
    page.get_by_text("Options", exact=True).click()
    page.get_by_label("Memory, in MB").fill("lots")
    act(page, "Run").click()
    expect(page.get_by_text("Enter megabytes, like 256, or nothing.")).to_be_visible()
    page.get_by_label("Memory, in MB").fill("999999")
    act(page, "Run").click()
    expect(page.get_by_text("Not started.")).to_be_visible()
    expect(page.get_by_label("Memory, in MB")).to_be_focused()
    expect(command(page)).to_have_value("echo kept")
    page.reload()
    expect(command(page)).to_have_value("echo kept")  # nothing is retyped
    page.get_by_text("Options", exact=True).click()
    page.get_by_label("Memory, in MB").fill("256")
    page.get_by_label("Time, in minutes").fill("2")
    command(page).press("Enter")
    expect(output(page)).to_have_text("kept")
    job = gateway.request("GET", "/api/jobs?limit=1")[2]["jobs"][0]
    assert (job["memory_mb"], job["timeout_seconds"], job["network"]) == (256, 120, False)
    # A task needs a model, and none is connected.
    page.get_by_role("link", name="All jobs").click()
    page.get_by_role("combobox", name="What it is").select_option("A task for the agent")
    page.get_by_role("textbox", name="Task").fill("Count the words.")
    act(page, "Run").click()
    expect(page.get_by_text("Not started.")).to_be_visible()


def test_a_call_that_starts_a_job_leads_to_it_and_says_how_it_is(
    look: Callable[..., Page], gateway: GatewayProcess
) -> None:
    page = sign_in(look(), gateway)
    say(page, f"run for i in 1 2 3 4; do echo part $i '{_HIT}'; sleep 1; done")
    card(page).get_by_role("button", name="Allow once").click()
    line = page.locator(".step-job")
    expect(line).to_contain_text(re.compile(r"^Job · Running · part \d <img"))
    expect(line).to_have_text("Job · Done", timeout=20_000)
    expect(page.locator(".turn .prose")).to_contain_text("part 4")
    line.click()
    expect(head(page)).to_contain_text("Done")
    expect(output(page)).to_contain_text("part 4")
    page.get_by_role("link", name="Conversation").click()
    expect(line).to_have_text("Job · Done")
    assert page.evaluate("window.hit") is None


def test_without_a_sandbox_it_says_what_to_install(
    look: Callable[..., Page], gateway_process: Callable[..., GatewayProcess]
) -> None:
    gateway = gateway_process(BUILTIN_WORD_DELAY="0", SANDBOX="off").start()
    page = open_jobs(look(), gateway)
    command(page).fill("echo hello")
    act(page, "Run").click()
    expect(page.get_by_text("Not started. Programs can't be run: SANDBOX is off. Set it to")).to_be_visible()
    expect(command(page)).to_have_value("echo hello")


@pytest.mark.parametrize(("scheme", "width"), WIDE_AND_PHONE)
def test_points_03_04_05_07_19_25_of_every_view_of_jobs(
    look: Callable[..., Page], gateway: GatewayProcess, scheme: str, width: int
) -> None:
    done = run(gateway, f"mkdir folder; echo {'long' * 90}; touch {'n' * 120}", title="word" * 40, wait=True)
    failed = run(gateway, "exit 7", wait=True)
    running = run(gateway, _COUNTS)
    page = open_jobs(look(width, scheme), gateway)
    measure = Measure(page, width)
    expect(row(page, "word" * 40)).to_be_visible()
    measure.view()
    heights = page.locator(".job-row").evaluate_all("all => [...new Set(all.map(one => one.offsetHeight))]")
    assert max(heights) - (52 if width == 360 else 40) <= 1
    page.get_by_text("Options", exact=True).click()
    page.keyboard.press("Tab")
    measure.view()
    for where in (done, f"{done}/files", failed, running):
        page.goto(f"{gateway.url}/#/jobs/{where}")
        expect(head(page)).to_contain_text(re.compile("Done|Failed|Running"))
        measure.view()
    page.goto(f"{gateway.url}/#/jobs/{failed}")
    expect(head(page)).to_contain_text("Failed")
    choose(page, "Delete")
    measure.view()
    page.goto(f"{gateway.url}/#/jobs/job-00000000")
    expect(page.get_by_text("This job is not there any more")).to_be_visible()
    measure.view()
    measure.together()
    act(page, "All jobs").click()
    expect(row(page, "word" * 40)).to_be_visible()


@pytest.mark.parametrize("width", [1280, 360])
def test_points_22_and_23_jobs_keep_their_place_and_are_reached_by_keys(
    look: Callable[..., Page], gateway: GatewayProcess, width: int
) -> None:
    for number in range(18):
        run(gateway, "true", title=f"Old {number}", wait=number == 17)
    page = open_jobs(look(width), gateway)
    expect(row(page, "Old 3")).to_be_visible()
    page.locator(".jobs-list").evaluate("one => { one.scrollTop = 150 }")
    page.wait_for_timeout(300)
    row(page, "Old 9").get_by_role("link").focus()
    page.keyboard.press("Enter")
    expect(head(page)).to_contain_text("Done")
    expect(page.get_by_text("It has printed nothing.")).to_be_visible()
    if width == 360:
        page.get_by_role("link", name="Back").click()
    else:
        page.go_back()
    expect(row(page, "Old 3")).to_be_visible()
    assert page.locator(".jobs-list").evaluate("one => one.scrollTop") == pytest.approx(150, abs=1)
    place(page, "System").click()
    place(page, "Jobs").click()
    expect(row(page, "Old 3")).to_be_visible()
    page.reload()
    expect(row(page, "Old 3")).to_be_visible()
    page.wait_for_function("() => Math.abs(document.querySelector('.jobs-list').scrollTop - 150) <= 1")
    page.goto(f"{gateway.url}/#/jobs")
    page.keyboard.press("/")
    expect(command(page)).to_be_focused()
