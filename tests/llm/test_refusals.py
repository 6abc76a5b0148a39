"""What error answers mean, in the forms and the words of the servers that there are."""

import json

import pytest
from llm.provider_calls import endpoint

from ironclaw.llm.failures import Failures
from ironclaw.llm.refusals import read_answer


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (400, "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens."),
        (400, "the request exceeds the available context size, try increasing it"),
        (500, "Context size has been exceeded."),
        (400, "The decoder prompt (length 5000) is longer than the maximum model length of 4096."),
        (400, "the input length exceeds the context length"),
        (400, "prompt too long; exceeded max context length by 4 tokens"),
        (400, "prompt is too long: 210000 tokens > 200000 maximum"),
        (400, "input length and `max_tokens` exceed context limit: 1 + 2 > 2"),
        (400, "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576)."),
        (400, "Trying to keep the first 5000 tokens when context the overflows."),
        (422, "`inputs` tokens + `max_new_tokens` must be <= 4096."),
    ],
)
def test_a_conversation_that_is_too_long_is_known_by_its_words(status: int, message: str) -> None:
    body = json.dumps({"error": {"message": message, "type": "invalid_request_error"}}).encode()
    error = Failures(endpoint("http://h/v1")).refused(read_answer(status, body, None))
    assert (error.code, error.status) == ("context_overflow", status)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"error": {"message": "no", "code": "context_length_exceeded"}}, "context_overflow"),
        ({"error": {"message": "zz is not a valid model ID", "code": 400}}, "model_missing"),
        ({"object": "error", "message": "The model `x` does not exist.", "type": "NotFoundError"}, "model_missing"),
        ({"detail": [{"loc": ["body", "messages"], "msg": "field required"}]}, "refused"),
        ([{"error": {"code": 400, "message": "Invalid argument", "status": "INVALID_ARGUMENT"}}], "refused"),
        ({"error": None}, "refused"),
        ([], "refused"),
        (7, "refused"),
    ],
)
def test_errors_are_read_in_all_their_forms(body: object, code: str) -> None:
    refusal = read_answer(400, json.dumps(body).encode(), None)
    assert Failures(endpoint("http://h/v1"), "x").refused(refusal).code == code


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("7", 7),
        ("0.5", 0.5),
        ("-1", None),
        ("inf", None),
        ("soon", None),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
    ],
)
def test_a_retry_after_is_seconds_or_a_moment(header: str | None, seconds: float | None) -> None:
    assert read_answer(429, b"", header).retry_after == seconds
