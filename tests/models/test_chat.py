import pytest

from goalward.errors import UsageError
from goalward.models.chat import Chat

QUESTION = {"role": "user", "content": "2+2?"}


def test_prompt_is_the_template_open_for_the_assistant(make_tokenizer):
    chat = Chat(make_tokenizer())
    text = "<|im_start|>user\n2+2?<|im_end|>\n<|im_start|>assistant\n"
    assert chat.tokenizer.decode(chat.prompt([QUESTION])) == text
    assert chat.prompt([QUESTION]).dtype == "int32"


def test_completion_is_the_text_and_the_end_token(make_tokenizer):
    chat = Chat(make_tokenizer())
    tokens = chat.completion("4 é\n")
    assert tokens[-1] == chat.end_id == 258
    assert len(tokens) == len("4 é\n".encode()) + 1
    assert chat.text(tokens) == "4 é\n"


def test_the_template_says_what_ends_a_turn_rather_than_the_tokenizer(make_tokenizer):
    tokenizer = make_tokenizer()
    tokenizer.eos_token = "<|pad|>"
    assert Chat(tokenizer).end_id == 258


def test_without_a_template_conversations_are_plain_text(make_tokenizer):
    chat = Chat(make_tokenizer(template=None))
    turns = [{"role": "system", "content": "Short."}, QUESTION]
    assert chat.text(chat.prompt(turns)) == "System: Short.\n\nUser: 2+2?\n\nAssistant:"
    assert chat.completion("4")[-1] == 258


def test_a_template_that_takes_no_system_turn_is_fine_until_it_gets_one(make_tokenizer):
    refusing = "{% if messages[0].role == 'system' %}{{ raise_exception('no system turns') }}{% endif %}"
    refusing += make_tokenizer().chat_template
    chat = Chat(make_tokenizer(refusing), name="odd")
    assert len(chat.prompt([QUESTION]))
    with pytest.raises(
        UsageError, match="'odd': its chat template refuses turns system, user: no system turns"
    ):
        chat.prompt([{"role": "system", "content": "x"}, QUESTION])


def test_a_template_that_rewrites_earlier_turns_is_refused_at_once(make_tokenizer):
    numbering = make_tokenizer().chat_template.replace(
        "{{ message.content }}", "{{ message.content }}{% if not loop.last %}.{% endif %}"
    )
    with pytest.raises(UsageError, match=r"rewrites earlier turns.*Turn 3 reads") as refused:
        Chat(make_tokenizer(numbering))
    assert "''" in str(refused.value) or "'.<|im_end|>" in str(refused.value)


@pytest.mark.parametrize(
    ("filter_", "said"),
    [("message.content | trim", " 4 "), ("message.content.split('</think>')[-1]", "<think>2+2</think>4")],
)
def test_a_template_that_trims_or_strips_is_refused_where_that_matters(make_tokenizer, filter_, said):
    template = make_tokenizer().chat_template.replace("message.content", filter_)
    chat = Chat(make_tokenizer(template), name="thinker")
    chat.prompt([QUESTION, {"role": "assistant", "content": "4"}, QUESTION])
    with pytest.raises(
        UsageError, match=r"'thinker': its chat template rewrites earlier turns.*Turn 2 reads"
    ):
        chat.prompt([QUESTION, {"role": "assistant", "content": said}, QUESTION])


def test_a_tokenizer_without_any_end_token_is_refused(make_tokenizer):
    tokenizer = make_tokenizer(template=None)
    tokenizer.eos_token = None
    with pytest.raises(UsageError, match="no end-of-sequence token"):
        Chat(tokenizer).completion("4")
