import re
import unicodedata
from itertools import islice
from random import Random

import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

from goalward.models.load import ModelConfig, load_policy
from goalward.models.pocket import PATH
from goalward.models.pocket.drills import DRILLS
from goalward.models.pocket.make import Training, batches, encode
from goalward.models.pocket.text import documents, rush
from goalward.models.pocket.tokenizer import TAGS
from goalward.tasks.word_problem import Operand, Operation, Problem

TEXTS = [
    "What is 12 + 7?",
    "  two  spaces, a\ttab, a line\nand\r\nanother\n\n\n",
    "日本語 and 中文, Ωμέγα, naïve café, e\u0301",
    "emoji 🙂👩‍🚀🏳️‍🌈 and <b>marks</b> \\ \" ' ` ~ | # @",
    "<reasoning>3 * 5 = 15.</reasoning>\n<answer>-15</answer>",
    " leading and trailing ",
    "\x00\x7f\u200b\ufeff",
    "",
]
TURNS = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": " What is 2 + 2? "},
    {"role": "assistant", "content": "<reasoning>2 + 2 = 4.</reasoning>\n<answer>4</answer>"},
    {"role": "user", "content": "And 3 + 3?"},
]


@pytest.fixture(scope="module")
def tokenizer():
    return load_policy(ModelConfig(name="pocket", device="cpu")).tokenizer


@pytest.fixture(scope="module")
def model():
    return AutoModelForCausalLM.from_pretrained(PATH)


def test_it_is_small(model):
    assert sum(file.stat().st_size for file in PATH.iterdir()) <= 6_000_000
    assert 1_000_000 <= model.num_parameters() <= 2_000_000
    assert model.config.model_type == "qwen2"


@pytest.mark.parametrize("text", TEXTS)
def test_any_text_comes_back_unchanged(tokenizer, text):
    tokens = tokenizer(text)["input_ids"]
    assert tokenizer.decode(tokens) == text
    assert tokenizer.decode(tokens, skip_special_tokens=True) == text


def test_transformers_reads_the_same_tokens(tokenizer):
    # All but composed characters: transformers normalises what any Qwen2 tokenizer reads.
    theirs = AutoTokenizer.from_pretrained(PATH)
    for text in TEXTS:
        text = unicodedata.normalize("NFC", text)
        assert theirs(text)["input_ids"] == tokenizer(text)["input_ids"]


def test_random_text_comes_back_unchanged(tokenizer):
    random = Random(0)
    for _ in range(200):
        characters = (chr(random.randrange(0x110000)) for _ in range(20))
        text = "".join(c for c in characters if unicodedata.category(c) != "Cs")
        assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_vocabulary(tokenizer, model):
    assert len(tokenizer) <= 1000
    assert len(tokenizer) == model.config.vocab_size
    assert not [token for token in tokenizer.get_vocab() if re.search(r"\d.|.\d", token)]
    for tag in TAGS:
        assert len(tokenizer(tag)["input_ids"]) == 1
        assert tokenizer.decode(tokenizer(tag)["input_ids"], skip_special_tokens=True) == tag
    assert tokenizer.pad_token_id != tokenizer.eos_token_id
    assert model.generation_config.eos_token_id == tokenizer.eos_token_id


def test_earlier_turns_stay_as_they_were(tokenizer):
    asked = tokenizer.apply_chat_template(TURNS[:2], tokenize=False, add_generation_prompt=True)
    answered = asked + TURNS[2]["content"] + "<|im_end|>\n"
    whole = tokenizer.apply_chat_template(TURNS, tokenize=False, add_generation_prompt=True)
    assert whole == answered + "<|im_start|>user\nAnd 3 + 3?<|im_end|>\n<|im_start|>assistant\n"
    first = tokenizer(asked)["input_ids"]
    assert tokenizer(whole)["input_ids"][: len(first)] == first


def test_it_answers_in_the_format(tokenizer, model):
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": "What is 3 + 4?"}], add_generation_prompt=True, return_tensors="pt"
    )
    tokens = model.generate(**prompt, max_new_tokens=40, do_sample=False)[0, prompt["input_ids"].shape[1] :]
    text = tokenizer.decode(tokens, skip_special_tokens=True)
    assert re.fullmatch(r"<reasoning>.*</reasoning>\n<answer>7</answer>", text)
    assert tokens[-1] == tokenizer.eos_token_id


def test_text_is_the_same_for_the_same_seed():
    assert list(islice(documents(5), 50)) == list(islice(documents(5), 50))
    assert next(documents(5)) != next(documents(6))


def test_the_rushed_miss_the_second_half():
    first = Operation("All", Operand(4), "+", Operand(2), 6, 0)
    second = Operation("Now", Operand(6, 0), "*", Operand(3), 18, 1)
    problem = Problem(scenario="", question="", skeleton="", numbers=(), operations=(first, second))
    assert rush(problem) == ("Quickly: 4+2=6.", 6)


@pytest.mark.parametrize("make", DRILLS, ids=lambda make: make.__name__)
def test_drills_are_right(make):
    for seed in range(200):
        drill = make(Random(seed))
        for left, right in re.findall(r"([-+*/()\d]+)=([-+*/()\d]+)[.]", drill.steps):
            assert eval(left) == eval(right), drill
        expression = re.fullmatch(r"[^\d(]*(-?[\d()][-+*/() \d]*\d\)?)( =)?[ ?.=]*", drill.question)
        if expression:
            assert eval(expression[1]) == int(drill.answer), drill


def test_batches_hold_every_document_once_and_little_padding(tokenizer):
    rows = encode(tokenizer, islice(documents(0), 3000))
    made = list(batches(list(rows), Training()))
    assert sorted(map(id, (row for batch in made for row in batch))) == sorted(map(id, rows))
    padded = sum(len(batch) * max(len(row.tokens) for row in batch) for batch in made)
    assert padded < 1.1 * sum(len(row.tokens) for row in rows)
    assert all(len(batch) * max(len(row.tokens) for row in batch) <= 2048 for batch in made)
